package jobs

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

	"github.com/google/uuid"
)

// Engine accepts jobs, runs those that have a handler, and decides what becomes of
// them. All it knows is in its Store.
//
//	Submit, Cancel ─┐
//	handler outcome ┼→ committer → Store.Commit → the log → readers
//	waker (timers) ─┘      └→ claims → execute → Handler.Run
type Engine struct {
	store   Store
	log     *slog.Logger
	commits *committer
	failed  chan struct{} // closed when the store failed
	loops   sync.WaitGroup
	stop    context.CancelFunc // ends the alarms
	waking  alarm              // for jobs whose WakeAt comes: what the store has to remember
	ticking alarm              // for schedules
	tending alarm              // for leases, rates and retention: what a restart sets anew
	allowed func(tenant, caller string) error
	lease   time.Duration
	logAge  time.Duration
	epoch   string
	names   *names
	tidyAt  time.Time // when the log is trimmed next; only tend uses it
	retain  retention

	several func() bool // Options.SeveralTenants

	configuring sync.Mutex // one change of settings at a time
	closing     sync.Once  // the end of Close

	masked atomic.Pointer[[]string] // see Mask

	mu       sync.Mutex // protects the fields below
	handlers map[string]Handler
	wrap     func(kind string, h Handler) Handler // nil for none
	slots    [2]*pool                             // for handlers, and for those of deliveries: slow jobs must not hold callbacks up
	claimers []*claimer                           // all, in the order in which they came
	tenants  map[string]bool                      // that had unfinished jobs since the start
	draining bool
	drained  chan struct{}   // closed when draining
	flushed  bool            // draining, and no claim is under way any more
	runs     map[string]*Run // in this process, by lease
	idle     chan struct{}   // closed when draining and no run is left
	workers  map[string]*worker
	staff    map[string]staff // what the workers of each tenant are in all
	leases   map[string]*held // of outside workers, by lease
	lost     int64            // leases of workers that fell silent, since the start
	settings map[QueueName]QueueSettings
	buckets  map[QueueName]*bucket
}

// Options of an Engine. The zero value of all but Store means a default.
type Options struct {
	Store    Store
	Handlers map[string]Handler                   // by kind
	Wrap     func(kind string, h Handler) Handler // is put around each handler; none if nil
	Allowed  func(tenant, caller string) error    // says why what a caller has made may not act any more, if so; everybody may if nil
	Slots    int                                  // attempts at the same time in this process, and as many of deliveries; 64
	Lease    time.Duration                        // how long an outside worker may be silent; 30 s
	LogAge   time.Duration                        // how long events are kept; 24 h

	// SeveralTenants reports whether there may be jobs of several tenants, before the engine
	// has seen any: then none takes all slots of this process (see Share). It is called often
	// and must not wait. If nil, the engine knows of those only that have jobs.
	SeveralTenants func() bool

	Logger *slog.Logger
}

// CancelGrace is how long a running attempt has to stop from when it was told.
const CancelGrace = 10 * time.Second

// Open starts an engine. Attempts that a former process left behind are queued again.
func Open(ctx context.Context, o Options) (*Engine, error) {
	e := &Engine{store: o.Store, handlers: map[string]Handler{}, wrap: o.Wrap, allowed: o.Allowed, log: o.Logger, lease: cmp.Or(o.Lease, 30*time.Second),
		logAge: cmp.Or(o.LogAge, 24*time.Hour), epoch: o.Store.Head().Epoch, failed: make(chan struct{}), names: newNames(), waking: newAlarm(), ticking: newAlarm(), tending: newAlarm(), runs: map[string]*Run{},
		drained: make(chan struct{}), idle: make(chan struct{}), workers: map[string]*worker{}, staff: map[string]staff{}, leases: map[string]*held{},
		tenants: map[string]bool{}, several: o.SeveralTenants, settings: map[QueueName]QueueSettings{}, buckets: map[QueueName]*bucket{}}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if e.allowed == nil {
		e.allowed = func(string, string) error { return nil }
	}
	for i := range e.slots {
		e.slots[i] = e.newPool(cmp.Or(o.Slots, 64))
		e.claimers = append(e.claimers, e.slots[i].claimer)
	}
	e.handleLocked(kindBulk, Handler{Run: e.runBulk})
	for kind, h := range o.Handlers {
		e.handleLocked(kind, h)
	}
	queues, _, err := o.Store.Queues(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, q := range queues {
		e.learnLocked(QueueName{q.Tenant, q.Name}, q.Settings)
		for state, n := range q.Counts {
			if n > 0 && !State(state).Final() {
				e.tenants[q.Tenant] = true
			}
		}
		e.names.know(q.Tenant, q.Name)
	}
	if err := e.recover(ctx); err != nil {
		return nil, err
	}
	e.commits = newCommitter(o.Store)
	e.commits.guard = e.guarded
	e.commits.claim, e.commits.follow, e.commits.stored, e.commits.filled = e.addClaims, e.follow, e.stored, e.filled
	background, stop := context.WithCancel(context.Background())
	e.stop = stop
	e.loops.Go(e.commits.run)
	e.loops.Go(func() { e.waking.run(background, e.wakeDue) })
	e.loops.Go(func() { e.ticking.run(background, e.fireDue) })
	e.loops.Go(func() { e.tending.run(background, e.tend) })
	e.commits.kick(true)
	return e, nil
}

// Handle adds the handler of a kind, or replaces it. Jobs of the kind are run from now on.
func (e *Engine) Handle(kind string, h Handler) {
	e.mu.Lock()
	e.handleLocked(kind, h)
	e.mu.Unlock()
	e.commits.kick(true)
}

func (e *Engine) handleLocked(kind string, h Handler) {
	slots := e.slots[0]
	if kind == KindWebhook {
		slots = e.slots[1]
	}
	if _, known := e.handlers[kind]; !known {
		at, _ := slices.BinarySearch(slots.kinds, kind)
		slots.kinds = slices.Insert(slices.Clone(slots.kinds), at, kind) // claims may hold the old slice
	}
	if e.wrap != nil {
		h = e.wrap(kind, h)
	}
	e.handlers[kind] = h
	slots.hungry = true
}

func (e *Engine) handler(kind string) (Handler, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	h, ok := e.handlers[kind]
	return h, ok
}

// recover looks at what ran when the last process ended. An orderly end leaves no job of
// its own handlers running, so these died in a crash: their jobs are queued again, which
// spends no attempt, unless the hub crashed with them too often. Outside workers may be
// at work still: their leases get one fresh period.
func (e *Engine) recover(ctx context.Context) error {
	before := uint64(math.MaxUint64 >> 1)
	for before > 0 {
		page, err := e.store.List(ctx, Filter{States: []State{Running}, Before: before, Limit: 500})
		if err != nil {
			return fmt.Errorf("looking for interrupted jobs: %w", err)
		}
		b := &Batch{Now: time.Now().Truncate(time.Millisecond)}
		for i := range page.Jobs {
			job := page.Jobs[i]
			if strings.HasPrefix(job.Lease, byWorker) {
				e.adopt(job)
				continue
			}
			c := lose(job)
			if c.Job.State.Final() {
				e.log.Warn("a job ended because the hub crashed while it ran", "job", job.ID, "kind", job.Kind, "crashes", c.Job.Lost)
			}
			b.Changes = append(b.Changes, &c)
		}
		if len(b.Changes) > 0 {
			e.follow(b)
			if err := e.store.Commit(ctx, b); err != nil {
				return fmt.Errorf("queueing interrupted jobs again: %w", err)
			}
			e.log.Info("queued interrupted jobs again", "jobs", len(b.Changes))
		}
		before = page.Next
	}
	return nil
}

// Accepted is the answer to a submission.
type Accepted struct {
	Job      Job   // as of its first event, or as of now when Replayed
	Position int64 // in its queue, from 1; 0 if it is not queued
	Replayed bool  // the idempotency key was bound to this job before
	Existing bool  // this job is there already, and none was made
}

// Submit accepts a job: when it returns without error, the job is durable. The end of ctx
// counts until the job is handed to the store, then no more: an error that is ctx's says
// that nothing was stored. So it is with all methods that change something.
// ErrConflict with status 422 if the idempotency key stands for another request.
func (e *Engine) Submit(ctx context.Context, s Spec) (Accepted, error) {
	job, err := e.newJob(s)
	if err == nil {
		s.Tenant, s.Queue = job.Tenant, job.Queue
		err = e.mention(&s)
	}
	if err != nil {
		return Accepted{}, err
	}
	return e.submit(ctx, s, e.insertion(job, s))
}

// insertion is the change that submits a job.
func (e *Engine) insertion(job Job, s Spec) Change {
	c := accept(job)
	c.Key, c.After, c.Retry, c.Peers = s.Key, s.After, s.retry, e.uniquePeers(&job)
	return c
}

func (e *Engine) submit(ctx context.Context, s Spec, c Change) (Accepted, error) {
	if err := e.limitDeliveries(ctx, c.Job.Tenant, len(c.Job.Callbacks)); err != nil {
		return Accepted{}, err
	}
	o := newOp(c)
	err := e.commits.submit(ctx, o)
	if unknown, ok := errors.AsType[*UnknownParent](err); ok {
		i := slices.Index(s.After, unknown.ID)
		return Accepted{}, invalid(fmt.Sprintf("/after/%d", i), "there is no such job")
	}
	if taken, ok := errors.AsType[*KeyTaken](err); ok {
		if !taken.Same {
			p := newProblem(Conflict, "Idempotency key in use", "This Idempotency-Key was used for another request. Use a new key for a new request.")
			p.Status = 422
			return Accepted{}, p
		}
		return Accepted{Job: taken.Job, Replayed: true}, nil
	}
	if existing, ok := errors.AsType[*Existing](err); ok {
		return Accepted{Job: existing.Job, Existing: true}, nil
	}
	if err != nil {
		return Accepted{}, e.unavailable(err)
	}
	return Accepted{Job: o.change.Job, Position: o.change.Position}, nil
}

// Again says how a job is to be repeated. The zero value is: as it was.
type Again struct {
	Input   Value    // another input
	Targets []string // only these targets; the others keep what came of them
	Again   bool     // make another one although there is one
	Key     *Key     // idempotency key, if the caller sent one
	Caller  string   // in whose name

	tenant string
}

// Retry submits a job like one that has ended. The old one stays as it is, but names the new
// one as its retry; if it has one that is still kept, that is the answer. ErrConflict if it
// has not ended. Its callbacks come along only if it was the same caller's.
//
// Jobs that were cancelled only because the old one did not succeed are submitted again with
// it, to run after the new one. The retry of one of them alone runs after the retries that
// its parents have.
func (e *Engine) Retry(ctx context.Context, tenant string, id ID, again Again) (Accepted, error) {
	old, _, err := e.store.Job(ctx, tenant, id)
	if err != nil {
		return Accepted{}, err
	}
	if !old.State.Final() {
		return Accepted{}, newProblem(Conflict, "Not finished", "The job is %s; only a finished job can be retried.", old.State)
	}
	input, via := old.Credentials.Join(old.Input), old.Via
	if again.Input != nil {
		if old.Kind == KindWebhook { // else a callback's secret would sign anything
			return Accepted{}, invalid("/input", "a delivery is repeated as it was; leave it out")
		}
		if input, err = jsonMember("/input", again.Input, MaxDepth); err != nil {
			return Accepted{}, err
		}
		if input, err = old.Credentials.keep(old.Input, input, sameCaller(old.Caller, again.Caller), via.Headers); err != nil {
			return Accepted{}, under("/input", err)
		}
		via.Upstreams, via.Route, via.Headers = nil, "", nil // the operator opened them for requests of the route, not for what a caller writes
	}
	if again.Input != nil {
		again.Input = input
	}
	again.tenant = tenant
	s := e.again(&old, again)
	s.Input, s.Via = input, via
	if again.Targets != nil {
		if again.Input != nil {
			return Accepted{}, invalid("/targets", "give input or targets, not both")
		}
		h, _ := e.handler(old.Kind)
		if h.Repeat == nil {
			return Accepted{}, invalid("/targets", "a job of kind %s has no targets; leave it out", old.Kind)
		}
		bad := e.guarded("the repetition of targets", old.ID, func() { s.result, err = h.Repeat(&old, again.Targets) })
		if err = cmp.Or(bad, err); err != nil {
			return Accepted{}, err
		}
	}
	if old.Reason == ByParent {
		if s.After, _, err = e.ahead(ctx, &old, nil); err != nil {
			return Accepted{}, err
		}
	}
	job, err := e.newJob(s)
	if err != nil {
		return Accepted{}, err
	}
	c := e.insertion(job, s)
	if old.State != Succeeded {
		along, err := e.dependents(ctx, &old, job.ID, again)
		if err != nil {
			return Accepted{}, err
		}
		if len(along) > 0 {
			c.Follow = func(*Job) []*Change { return along }
		}
	}
	return e.submit(ctx, s, c)
}

// again is what the retry of a job submits, as the job was.
func (e *Engine) again(old *Job, again Again) Spec {
	var callbacks []Callback
	if old.Kind == KindWebhook || sameCaller(old.Caller, again.Caller) { // others must not have things signed with the caller's secrets
		callbacks = slices.Clone(old.Callbacks)
	}
	for i := range callbacks {
		callbacks[i].enable(true)
	}
	s := Spec{Kind: old.Kind, Queue: old.Queue, Input: old.Input, Priority: old.Priority, Tags: old.Tags, OrderingKey: old.OrderingKey, FairKey: old.Key,
		QueueTimeout: old.QueueTimeout, Timeout: old.Timeout, MaxAttempts: old.MaxAttempts, Backoff: old.Backoff, NeverRerun: old.NeverRerun,
		Retention: old.Retention, RetryOf: old.ID, Via: old.Via, Tenant: old.Tenant, Caller: again.Caller, Key: again.Key, Callbacks: callbacks,
		Unique: old.Unique, schedule: old.Schedule, retry: &Retry{Again: again.Again, As: again.asked()}}
	if s.inside = old.Kind == KindWebhook; s.inside {
		s.Parent = old.Parent
	}
	return s
}

// sameCaller compares callers by their ids.
func sameCaller(a, b string) bool {
	a, _, _ = strings.Cut(a, " ")
	b, _, _ = strings.Cut(b, " ")
	return a == b
}

// checkOutside looks at what only the hub itself may ask for: deliveries, bulk actions,
// and callbacks that were checked before.
func (e *Engine) checkOutside(s *Spec) error {
	switch s.Kind {
	case kindBulk:
		p := invalid("/kind", "is made by POST /v1/jobs:bulk only")
		p.Code, p.Type = Unsupported, "urn:jobhub:problem:unsupported"
		return p
	case KindWebhook:
		if _, ok := e.handler(KindWebhook); ok {
			return invalid("/kind", "deliveries are made by the hub; give a job callbacks, or retry a delivery")
		}
	}
	return e.checkCallbacks("/callbacks", s.Callbacks)
}

func (e *Engine) newJob(s Spec) (Job, error) {
	s = s.withDefaults()
	if !s.inside {
		if err := e.checkOutside(&s); err != nil {
			return Job{}, err
		}
	}
	depth := MaxDepth
	if s.inside {
		depth += wrapping
	}
	var err error
	if s.Input, err = jsonMember("/input", s.Input, depth); err != nil {
		return Job{}, err
	}
	h, _ := e.handler(s.Kind)
	if err := e.check(h, s.Input, s.Via); err != nil {
		return Job{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Job{}, err
	}
	whole := s.Input
	var hidden Credentials
	if h.Requests {
		s.Via.Mask = e.maskedNames()
		s.Input, hidden = SplitCredentials(s.Input, slices.Concat(s.Via.Headers, s.Via.Mask))
	}
	now := time.Now().Truncate(time.Millisecond)
	j := Job{ID: id, Tenant: s.Tenant, Kind: s.Kind, Queue: s.Queue, State: Queued, Priority: s.Priority, Tags: s.Tags, Input: s.Input, Credentials: hidden,
		OrderingKey: s.OrderingKey, Key: s.FairKey, MaxAttempts: s.MaxAttempts, Backoff: s.Backoff, Timeout: s.Timeout,
		QueueTimeout: s.QueueTimeout, NeverRerun: s.NeverRerun, Retention: s.Retention, RetryOf: s.RetryOf, Parent: s.Parent, Caller: s.Caller, Via: s.Via, Callbacks: s.Callbacks, Result: s.result, Schedule: s.schedule, CreatedAt: now}
	if s.Unique != nil {
		same := j
		same.Input = whole
		j.Unique, j.UniqueKey = s.Unique, s.Unique.key(&same)
	}
	if j.QueueTimeout == 0 {
		e.mu.Lock()
		j.QueueTimeout = time.Duration(e.settings[QueueName{j.Tenant, j.Queue}].QueueTimeout)
		e.mu.Unlock()
	}
	start := now
	if s.Delay > 0 {
		s.RunAt = now.Add(s.Delay)
	}
	if s.RunAt.After(now) {
		start = s.RunAt.Add(time.Millisecond - 1).Truncate(time.Millisecond) // never early
		j.State, j.ScheduledAt, j.WakeAt = Scheduled, start, start
	}
	if len(s.After) > 0 {
		j.State, j.WakeAt = Waiting, time.Time{}
		return j, nil
	}
	if j.QueueTimeout > 0 {
		j.ExpiresAt = start.Add(j.QueueTimeout)
		if j.State == Queued {
			j.WakeAt = j.ExpiresAt
		}
	}
	return j, nil
}

// Cancel ends a job that does not run, and tells one that runs. It may be repeated;
// a final job is left as it is.
func (e *Engine) Cancel(ctx context.Context, tenant string, id ID) (Job, Position, error) {
	for {
		job, pos, err := e.store.Job(ctx, tenant, id)
		if err != nil || job.State.Final() || job.CancelRequested {
			return job, pos, err
		}
		err = e.commits.do(ctx, newOp(cancelled(job)))
		if errors.Is(err, ErrConflict) {
			continue // it has moved on: look again
		}
		if err != nil {
			return job, pos, e.unavailable(err)
		}
		e.tell(job.Lease, ErrCancelRequested)
		return e.store.Job(context.WithoutCancel(ctx), tenant, id)
	}
}

// unavailable is what a caller gets to see of a store that can't take a change. It says
// that nothing was stored only where that is certain; else the outcome is unknown.
func (e *Engine) unavailable(err error) error {
	if refused, ok := errors.AsType[refusal](err); ok {
		switch {
		case errors.Is(err, ErrClosed):
			return unavailableBy(refused, "Shutting down", "The hub is shutting down. Nothing was stored; send it again in a moment.")
		case errors.Is(err, errBusy):
			return unavailableBy(refused, "Busy", "More waits to be stored than the hub takes. Nothing was stored; send it again later.")
		}
		return unavailableBy(refused, "Given up", "The request was given up before the hub could take it. Nothing was stored; send it again.")
	}
	if errors.Is(err, ErrNoSpace) {
		return unavailableBy(err, "No space left", "The hub's disk is full. Nothing was stored; try again when there is space.")
	}
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	p := newProblem(Internal, "Store failed", "The hub's store failed; whether this was stored is unknown. Send it again with the same Idempotency-Key after the hub was restarted.")
	p.cause = err
	return p
}

func unavailableBy(cause error, title, detail string) error {
	p := Unavailable(title, detail)
	p.cause = cause
	return p
}

// Failed is closed when the store has failed for good; Err then says why. A process
// should end: only opening the store again tells what it holds.
func (e *Engine) Failed() <-chan struct{} { return e.failed }

// Err is why no job can be accepted, or nil. After ErrNoSpace it is nil again once
// there is space.
func (e *Engine) Err() error {
	return e.commits.state()
}

// filled says in the log that the disk is full, or that it is no longer.
func (e *Engine) filled(err error) {
	if err != nil {
		e.log.Error("the store has no space left; no job is accepted until there is", "error", err)
	} else {
		e.log.Info("the store has space again")
	}
}

// stored looks at every batch after the commit: starts what was claimed, and notes
// what needs the waker or a claim.
func (e *Engine) stored(b *Batch, err error) {
	if err != nil {
		e.claimed(b, true)
		if e.commits.broken() != nil {
			e.log.Error("the store failed; no further job is accepted", "error", err)
			close(e.failed)
		}
		return
	}
	var wake, retained time.Time
	for _, c := range b.Changes {
		if c.Err == nil && c.Fields.Has(FieldRetained) && (retained.IsZero() || c.Job.RetainedUntil.Before(retained)) {
			retained = c.Job.RetainedUntil
		}
		if c.Err == nil && (c.If.State == 0 || c.Fields.Has(FieldWake)) && !c.Job.WakeAt.IsZero() && (wake.IsZero() || c.Job.WakeAt.Before(wake)) {
			wake = c.Job.WakeAt
		}
	}
	if b.Woken {
		wake = b.Now
	}
	if !wake.IsZero() {
		e.waking.by(wake)
	}
	if !retained.IsZero() {
		e.retainUntil(retained.Add(tidyPause)) // so that many end together
	}
	e.claimed(b, false)
}

// idleLocked tells Close when no run is left and none can come.
func (e *Engine) idleLocked() {
	if e.flushed && len(e.runs) == 0 {
		select {
		case <-e.idle:
		default:
			close(e.idle)
		}
	}
}

// Close stops claiming, lets running handlers finish until ctx ends, releases the
// rest, and waits for all of the engine's goroutines. It does not close the store. It may
// be called again; each call returns when all is over, with the error of a store that
// failed.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	if !e.draining {
		e.draining = true
		close(e.drained)
	}
	e.commits.giveUp()
	e.mu.Unlock()
	e.commits.flush() // a batch under way may bring jobs to run yet
	e.mu.Lock()
	e.flushed = true
	e.idleLocked()
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
			e.tell(lease, ErrDraining)
		}
		<-e.idle
	}
	e.closing.Do(func() {
		e.stop()
		e.commits.close()
		e.loops.Wait()
	})
	return e.commits.broken()
}

// Wait returns a job once it is final.
func (e *Engine) Wait(ctx context.Context, tenant string, id ID) (Job, error) {
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
