package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"jobhub/jobs"
)

// Engine accepts jobs, runs those that have a handler, and decides what becomes of
// them. All it knows is in its Store.
//
//	Submit, Cancel ─┐
//	handler outcome ┼→ committer → Store.Commit → the log → readers
//	alarms ─────────┘      └→ claims → execute → Handler.Run
type Engine struct {
	store         jobs.Store
	log           *slog.Logger
	commits       *committer
	failed        chan struct{} // closed when the store failed
	loops         sync.WaitGroup
	stop          context.CancelFunc // ends the alarms
	dueAlarm      alarm              // for jobs whose WakeAt has come
	scheduleAlarm alarm              // for schedules
	upkeepAlarm   alarm              // for leases, rates and retention
	allowed       func(tenant, caller string) error
	leaseTime     time.Duration
	logAge        time.Duration
	epoch         string
	names         *names
	nextLogTrim   time.Time // when the log is trimmed next; only tend uses it
	retention     retention

	severalTenants func() bool // Options.SeveralTenants

	configuring sync.Mutex // one change of settings at a time
	closing     sync.Once  // the end of Close

	masked atomic.Pointer[[]string] // see Mask

	mu           sync.Mutex // protects the fields below
	handlers     map[string]jobs.Handler
	wrap         func(kind string, h jobs.Handler) jobs.Handler // nil for none
	pools        [2]*slotPool                                   // for handlers, and for those of deliveries: slow jobs must not hold callbacks up
	claimers     []*claimer                                     // all, in the order in which they came
	tenants      map[string]bool                                // that have had unfinished jobs since the start
	draining     bool
	drained      chan struct{}          // closed when draining
	claimsEnded  bool                   // draining, and no claim can bring further jobs
	runs         map[string]*attemptRun // in this process, by lease
	idle         chan struct{}          // closed when draining and no run is left
	workers      map[string]*worker
	workerTotals map[string]workerTotals // by tenant
	leases       map[string]*workerLease // of outside workers, by lease
	lostLeases   int64                   // leases of workers that fell silent, since the start
	settings     map[jobs.QueueName]jobs.QueueSettings
	buckets      map[jobs.QueueName]*tokenBucket
}

// Options of an Engine. The zero value of all but Store means a default.
type Options struct {
	Store    jobs.Store
	Handlers map[string]jobs.Handler                        // by kind
	Wrap     func(kind string, h jobs.Handler) jobs.Handler // wraps each handler; none if nil
	Allowed  func(tenant, caller string) error              // returns an error if jobs, schedules and bulk actions of a caller may no longer act; if nil, all may
	Slots    int                                            // attempts at the same time in this process, and as many of deliveries; DefaultSlots if 0
	Lease    time.Duration                                  // how long an outside worker may be silent; DefaultLease if 0
	LogAge   time.Duration                                  // how long events are kept; DefaultLogAge if 0

	// SeveralTenants reports whether there may be jobs of several tenants, before the engine
	// has seen any: then none takes all slots of this process (see Share). It is called often
	// and must not wait. If nil, the engine knows of those only that have jobs.
	SeveralTenants func() bool

	Logger *slog.Logger
}

// Open starts an engine. Attempts that a former process left behind are queued again.
func Open(ctx context.Context, o Options) (*Engine, error) {
	if o.Store == nil {
		return nil, errors.New("an engine needs a Store, like that of package sqlite")
	}
	e := &Engine{store: o.Store, handlers: map[string]jobs.Handler{}, wrap: o.Wrap, allowed: o.Allowed, log: o.Logger, leaseTime: cmp.Or(o.Lease, jobs.DefaultLease),
		logAge: cmp.Or(o.LogAge, jobs.DefaultLogAge), epoch: o.Store.Head().Epoch, failed: make(chan struct{}), names: newNames(), dueAlarm: newAlarm(), scheduleAlarm: newAlarm(), upkeepAlarm: newAlarm(), runs: map[string]*attemptRun{},
		drained: make(chan struct{}), idle: make(chan struct{}), workers: map[string]*worker{}, workerTotals: map[string]workerTotals{}, leases: map[string]*workerLease{},
		tenants: map[string]bool{}, severalTenants: o.SeveralTenants, settings: map[jobs.QueueName]jobs.QueueSettings{}, buckets: map[jobs.QueueName]*tokenBucket{}}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.allowed == nil {
		e.allowed = func(string, string) error { return nil }
	}
	for i := range e.pools {
		e.pools[i] = e.newSlotPool(cmp.Or(o.Slots, jobs.DefaultSlots))
		e.claimers = append(e.claimers, e.pools[i].claimer)
	}
	e.addHandlerLocked(kindBulk, jobs.Handler{Run: e.runBulk})
	for kind, h := range o.Handlers {
		e.addHandlerLocked(kind, h)
	}
	queues, _, err := o.Store.Queues(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, q := range queues {
		e.cacheSettingsLocked(jobs.QueueName{Tenant: q.Tenant, Name: q.Name}, q.Settings)
		for state, n := range q.Counts {
			if n > 0 && !jobs.State(state).Final() {
				e.tenants[q.Tenant] = true
			}
		}
		e.names.know(q.Tenant, q.Name)
	}
	if err := e.requeueInterrupted(ctx); err != nil {
		return nil, err
	}
	e.commits = newCommitter(o.Store)
	e.commits.catchPanic = e.catchPanic
	e.commits.addClaims, e.commits.addFollowing, e.commits.afterCommit, e.commits.onDiskFull = e.addClaims, e.addDeliveries, e.afterCommit, e.onDiskFull
	background, stop := context.WithCancel(context.Background())
	e.stop = stop
	e.loops.Go(e.commits.run)
	e.loops.Go(func() { e.dueAlarm.run(background, e.wakeDue) })
	e.loops.Go(func() { e.scheduleAlarm.run(background, e.fireDue) })
	e.loops.Go(func() { e.upkeepAlarm.run(background, e.upkeep) })
	e.commits.trigger(true)
	return e, nil
}

// Handle adds the handler of a kind, or replaces it. Jobs of the kind are run from now on.
func (e *Engine) Handle(kind string, h jobs.Handler) {
	e.mu.Lock()
	e.addHandlerLocked(kind, h)
	e.mu.Unlock()
	e.commits.trigger(true)
}

func (e *Engine) addHandlerLocked(kind string, h jobs.Handler) {
	slots := e.pools[0]
	if kind == jobs.KindWebhook {
		slots = e.pools[1]
	}
	if _, known := e.handlers[kind]; !known {
		at, _ := slices.BinarySearch(slots.kinds, kind)
		slots.kinds = slices.Insert(slices.Clone(slots.kinds), at, kind) // claims may hold the old slice
	}
	if e.wrap != nil {
		h = e.wrap(kind, h)
	}
	e.handlers[kind] = h
	slots.wantsJobs = true
}

func (e *Engine) handler(kind string) (jobs.Handler, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	h, ok := e.handlers[kind]
	return h, ok
}

// requeueInterrupted handles the jobs that ran when the last process ended. An orderly end
// leaves no handler of the hub running, so these attempts died in a crash: their jobs are
// queued again and the attempt does not count, unless the hub has crashed with a job too
// often. Outside workers may still be at work: their leases get one new period.
func (e *Engine) requeueInterrupted(ctx context.Context) error {
	before := uint64(math.MaxUint64 >> 1)
	for before > 0 {
		page, err := e.store.List(ctx, jobs.Filter{States: []jobs.State{jobs.Running}, Before: before, Limit: 500})
		if err != nil {
			return fmt.Errorf("looking for interrupted jobs: %w", err)
		}
		b := &jobs.Batch{Now: time.Now().Truncate(time.Millisecond)}
		for i := range page.Jobs {
			job := page.Jobs[i]
			if strings.HasPrefix(job.Lease, byWorker) {
				e.adopt(job)
				continue
			}
			c := workerLost(job)
			if c.Job.State.Final() {
				e.log.Warn("a job ended because the hub crashed while it ran", "job", job.ID, "kind", job.Kind, "crashes", c.Job.Lost)
			}
			b.Changes = append(b.Changes, c)
		}
		if len(b.Changes) > 0 {
			e.addDeliveries(b)
			if err := e.store.Commit(ctx, b); err != nil {
				return fmt.Errorf("queueing interrupted jobs again: %w", err)
			}
			e.log.Info("queued interrupted jobs again", "jobs", len(b.Changes))
		}
		before = page.Next
	}
	return nil
}

// storeProblem turns an error of the store or committer into the problem that a caller gets.
// It says that nothing was stored only if that is certain; otherwise the outcome is unknown.
func (e *Engine) storeProblem(err error) error {
	if refused, ok := errors.AsType[refusal](err); ok {
		switch {
		case errors.Is(err, jobs.ErrClosed):
			return unavailableProblem(refused, "Shutting down", "The hub is shutting down. Nothing was stored; send it again in a few seconds.")
		case errors.Is(err, errBusy):
			return unavailableProblem(refused, "Busy", "More waits to be stored than the hub takes. Nothing was stored; send it again later.")
		}
		return unavailableProblem(refused, "Given up", "The request was given up before the hub could take it. Nothing was stored; send it again.")
	}
	if errors.Is(err, jobs.ErrNoSpace) {
		return unavailableProblem(err, "No space left", "The hub's disk is full. Nothing was stored; try again when there is space.")
	}
	if p, ok := errors.AsType[*jobs.Problem](err); ok {
		return p
	}
	return jobs.NewProblem(jobs.Internal, "Store failed", "The hub's store failed; whether this was stored is unknown. Send it again with the same Idempotency-Key after the hub was restarted.").Because(err)
}

func unavailableProblem(cause error, title, detail string) error {
	return jobs.Unavailable(title, detail).Because(cause)
}

// Failed is closed when the store has failed for good; Err then says why. A process
// should end: what the store holds is known only after it is opened again.
func (e *Engine) Failed() <-chan struct{} { return e.failed }

// Err is why no job can be accepted, or nil. After ErrNoSpace it is nil again once
// there is space.
func (e *Engine) Err() error {
	return e.commits.err()
}

// onDiskFull logs that the disk is full, or with nil that it no longer is.
func (e *Engine) onDiskFull(err error) {
	if err != nil {
		e.log.Error("the store has no space left; no job is accepted until there is", "error", err)
	} else {
		e.log.Info("the store has space again")
	}
}

// afterCommit handles every batch after its commit: it starts the claimed jobs, and sets the
// alarms for jobs that become due or are to be deleted.
func (e *Engine) afterCommit(b *jobs.Batch, err error) {
	if err != nil {
		e.assignClaimed(b, true)
		if e.commits.failure() != nil {
			e.log.Error("the store failed; no further job is accepted", "error", err)
			close(e.failed)
		}
		return
	}
	var wake, retained time.Time
	for _, c := range b.Changes {
		if c.Err == nil && c.Fields.Has(jobs.FieldRetained) && (retained.IsZero() || c.Job.RetainedUntil.Before(retained)) {
			retained = c.Job.RetainedUntil
		}
		if c.Err == nil && (c.If.State == 0 || c.Fields.Has(jobs.FieldWake)) && !c.Job.WakeAt.IsZero() && (wake.IsZero() || c.Job.WakeAt.Before(wake)) {
			wake = c.Job.WakeAt
		}
	}
	if b.Woken {
		wake = b.Now
	}
	if !wake.IsZero() {
		e.dueAlarm.setBy(wake)
	}
	if !retained.IsZero() {
		e.scheduleDeletion(retained.Add(deletionPause)) // so that many are deleted together
	}
	e.assignClaimed(b, false)
}

// closeIfIdleLocked closes idle once no run is left and none can come.
func (e *Engine) closeIfIdleLocked() {
	if e.claimsEnded && len(e.runs) == 0 {
		select {
		case <-e.idle:
		default:
			close(e.idle)
		}
	}
}

// Close stops claiming, lets running handlers finish until ctx ends, then releases the jobs
// of the others, and waits for all goroutines of the engine. It does not close the store. It
// may be called again. Each call returns the error of a store that failed.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	if !e.draining {
		e.draining = true
		close(e.drained)
	}
	e.commits.stopKeeping()
	e.mu.Unlock()
	e.commits.waitForBatch() // the batch that is being stored may still bring jobs to run
	e.mu.Lock()
	e.claimsEnded = true
	e.closeIfIdleLocked()
	e.mu.Unlock()
	select {
	case <-e.idle:
	case <-ctx.Done():
		e.mu.Lock()
		leases := make([]string, 0, len(e.runs))
		for lease := range e.runs {
			leases = append(leases, lease)
		}
		e.mu.Unlock()
		e.log.Info("releasing running jobs", "jobs", len(leases))
		for _, lease := range leases {
			e.signalRun(lease, jobs.ErrDraining)
		}
		<-e.idle
	}
	e.closing.Do(func() {
		e.stop()
		e.commits.close()
		e.loops.Wait()
	})
	return e.commits.failure()
}

// Wait returns a job once it is final.
func (e *Engine) Wait(ctx context.Context, tenant string, id jobs.ID) (jobs.Job, error) {
	for {
		head := e.store.Head().Seq
		job, _, err := e.store.Job(ctx, tenant, id)
		if err != nil || job.State.Final() {
			return job, err
		}
		if err := e.store.Wait(ctx, head); err != nil {
			return job, err
		}
	}
}
