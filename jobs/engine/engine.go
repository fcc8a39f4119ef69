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
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine/commit"
	"jobhub/jobs/engine/transition"
	"jobhub/jobs/schedule"
)

// Engine accepts jobs, runs those that have a handler, and decides what becomes of
// them. All it knows is in its Store.
//
//	Submit, Cancel ─┐
//	handler outcome ┼→ Committer → Store.Commit → the log → readers
//	alarms ─────────┘      └→ claims → attempts → Handler.Run
type Engine struct {
	Queues    *Queues    // settings of queues
	Schedules *Schedules // jobs by the clock
	Workers   *Workers   // outside workers and their leases
	Documents *Documents // small records of packages above

	store      jobs.Store
	log        *slog.Logger
	allowed    func(tenant, caller string) error
	notify     func(jobs.Notice)
	commits    *commit.Committer
	claims     *claims
	attempts   *attempts
	deliveries *deliveries
	retention  *retention
	names      *names
	masked     maskedNames
	due        alarm              // for jobs whose WakeAt has come
	upkeepDue  alarm              // for leases, rates and retention
	failed     chan struct{}      // closed when the store failed
	loops      sync.WaitGroup     // of the committer and the alarms
	stop       context.CancelFunc // ends the alarms
	closing    sync.Once          // the end of Close
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

	// Notify is called when something changes of which no event tells, for those who show it.
	// It must not block, nor call the engine. If nil, nobody wants to know.
	Notify func(jobs.Notice)

	Logger *slog.Logger
}

// Open starts an engine. Attempts that a former process left behind are queued again.
func Open(ctx context.Context, o Options) (*Engine, error) {
	if o.Store == nil {
		return nil, errors.New("an engine needs a Store, like that of package sqlite")
	}
	e := &Engine{store: o.Store, log: o.Logger, allowed: o.Allowed, failed: make(chan struct{}), names: newNames(), due: newAlarm(), upkeepDue: newAlarm()}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if o.Notify == nil {
		o.Notify = func(jobs.Notice) {}
	}
	e.notify = o.Notify
	if e.allowed == nil {
		e.allowed = func(string, string) error { return nil }
	}
	e.connect(&o)
	e.attempts.handle(kindBulk, jobs.Handler{Run: e.runBulk})
	for kind, h := range o.Handlers {
		e.attempts.handle(kind, h)
	}
	if err := e.readQueues(ctx); err != nil {
		return nil, err
	}
	if err := e.requeueInterrupted(ctx); err != nil {
		return nil, err
	}
	background, stop := context.WithCancel(context.Background())
	e.stop = stop
	e.loops.Go(e.commits.Run)
	e.loops.Go(func() { e.due.run(background, e.wakeDue) })
	e.loops.Go(func() { e.Schedules.alarm.run(background, e.Schedules.fireDue) })
	e.loops.Go(func() { e.upkeepDue.run(background, e.upkeep) })
	e.commits.Trigger(true)
	return e, nil
}

// connect makes the parts of the engine.
func (e *Engine) connect(o *Options) {
	e.commits = commit.New(e.store, commit.Hooks{
		CatchPanic: func(what string, id jobs.ID, f func()) error { return catchPanic(e.log, what, id, f) },
		Complete:   func(b *jobs.Batch) { e.claims.add(b); e.deliveries.add(b) },
		Committed:  e.committed,
		DiskFull:   e.diskFull,
	})
	e.claims = newClaims(e.commits, e.upkeepDue, o.SeveralTenants, e.notify)
	e.attempts = newAttempts(e.commits, e.claims, cmp.Or(o.Slots, jobs.DefaultSlots), o.Wrap, e.log)
	e.Queues = &Queues{notify: e.notify, commits: e.commits, claims: e.claims, attempts: e.attempts, names: e.names, settings: map[jobs.QueueName]jobs.QueueSettings{}}
	e.deliveries = &deliveries{store: e.store, commits: e.commits, queues: e.Queues, attempts: e.attempts, log: e.log, epoch: e.store.Head().Epoch, masked: &e.masked}
	e.attempts.deliveries = e.deliveries
	e.retention = &retention{store: e.store, log: e.log, upkeep: e.upkeepDue, logAge: cmp.Or(o.LogAge, jobs.DefaultLogAge)}
	e.Schedules = &Schedules{engine: e, alarm: newAlarm()}
	e.Documents = &Documents{e.store, e.commits}
	e.Workers = &Workers{store: e.store, notify: e.notify, commits: e.commits, claims: e.claims, attempts: e.attempts, log: e.log, upkeep: e.upkeepDue, failed: e.failed,
		leaseTime: cmp.Or(o.Lease, jobs.DefaultLease), mu: &e.claims.mu, all: map[string]*worker{}, totals: map[string]workerTotals{}, leases: map[string]*workerLease{}}
}

// readQueues reads the settings of all queues, and whose jobs are unfinished.
func (e *Engine) readQueues(ctx context.Context) error {
	queues, _, err := e.store.Queues(ctx, "")
	for _, q := range queues {
		e.Queues.cache(jobs.QueueName{Tenant: q.Tenant, Name: q.Name}, q.Settings)
		for state, n := range q.Counts {
			if n > 0 && !jobs.State(state).Final() {
				e.claims.tenants[q.Tenant] = true
			}
		}
		e.names.know(q.Tenant, q.Name)
	}
	return err
}

// Handle adds the handler of a kind, or replaces it. Jobs of the kind are run from now on.
func (e *Engine) Handle(kind string, h jobs.Handler) {
	e.attempts.handle(kind, h)
	e.commits.Trigger(true)
}

// Handlers describes the handlers of this process: their kinds, by name, how many attempts
// may run at the same time, and how many do.
func (e *Engine) Handlers() (kinds []string, slots, busy int) {
	e.claims.mu.Lock()
	defer e.claims.mu.Unlock()
	for _, p := range e.attempts.pools {
		kinds = append(kinds, p.kinds...)
		slots, busy = slots+p.size, busy+p.size-p.share.Free
	}
	slices.Sort(kinds)
	return kinds, slots, busy
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
			if strings.HasPrefix(job.Lease, transition.ByWorker) {
				e.Workers.adopt(job)
				continue
			}
			c := transition.WorkerLost(job)
			if c.Job.State.Final() {
				e.log.Warn("a job ended because the hub crashed while it ran", "job", job.ID, "kind", job.Kind, "crashes", c.Job.Lost)
			}
			b.Changes = append(b.Changes, c)
		}
		if len(b.Changes) > 0 {
			e.deliveries.add(b)
			if err := e.store.Commit(ctx, b); err != nil {
				return fmt.Errorf("queueing interrupted jobs again: %w", err)
			}
			e.log.Info("queued interrupted jobs again", "jobs", len(b.Changes))
		}
		before = page.Next
	}
	return nil
}

// Failed is closed when the store has failed for good; Err then says why. A process
// should end: what the store holds is known only after it is opened again.
func (e *Engine) Failed() <-chan struct{} { return e.failed }

// Err is why no job can be accepted, or nil. After ErrNoSpace it is nil again once
// there is space.
func (e *Engine) Err() error {
	return e.commits.Err()
}

// diskFull logs that the disk is full, or with nil that it no longer is.
func (e *Engine) diskFull(err error) {
	if err != nil {
		e.log.Error("the store has no space left; no job is accepted until there is", "error", err)
	} else {
		e.log.Info("the store has space again")
	}
}

// committed handles every batch after its commit: it starts the claimed jobs, and sets the
// alarms for jobs that become due or are to be deleted.
func (e *Engine) committed(b *jobs.Batch, err error) {
	if err != nil {
		e.claims.assign(b, true)
		if e.commits.Failure() != nil {
			e.log.Error("the store failed; no further job is accepted", "error", err)
			close(e.failed)
		}
		return
	}
	e.notifySchedules(b)
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
		e.due.setBy(wake)
	}
	if !retained.IsZero() {
		e.retention.scheduleDeletion(retained.Add(deletionPause)) // so that many are deleted together
	}
	e.claims.assign(b, false)
}

// notifySchedules tells of the schedules that a batch has changed.
func (e *Engine) notifySchedules(b *jobs.Batch) {
	for _, d := range b.Documents {
		if d.Err == nil && d.Kind == schedule.Kind {
			e.notify(jobs.Notice{Tenant: d.Tenant, Subject: jobs.SchedulesChanged})
		}
	}
	for _, c := range b.Changes {
		if c.Err == nil && c.Document != nil {
			e.notify(jobs.Notice{Tenant: c.Document.Tenant, Subject: jobs.SchedulesChanged})
		}
	}
}

// StopRuns stops claiming, lets running handlers finish until ctx ends, and then releases the
// jobs of the others. Changes are stored until Close. It may be called again.
func (e *Engine) StopRuns(ctx context.Context) {
	e.claims.stop()
	e.commits.StopKeeping()
	e.commits.WaitForBatch() // the batch that is being stored may still bring jobs to run
	e.attempts.end(ctx)
}

// Close stops the runs (see StopRuns) and waits for all goroutines of the engine. It does not
// close the store. It may be called again. Each call returns the error of a store that failed.
func (e *Engine) Close(ctx context.Context) error {
	e.StopRuns(ctx)
	e.closing.Do(func() {
		e.stop()
		e.commits.Close()
		e.loops.Wait()
	})
	return e.commits.Failure()
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
