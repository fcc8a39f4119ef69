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
	lease   time.Duration
	logAge  time.Duration
	epoch   string
	tidyAt  time.Time // when retention is looked at next; only tend uses it

	configuring sync.Mutex // one change of settings at a time

	mu       sync.Mutex // protects the fields below
	handlers map[string]Handler
	wrap     func(kind string, h Handler) Handler // nil for none
	slots    [2]*pool                             // for handlers, and for those of deliveries: slow jobs must not hold callbacks up
	claimers []*claimer                           // all, in the order in which they came
	draining bool
	drained  chan struct{}   // closed when draining
	flushed  bool            // draining, and no claim is under way any more
	runs     map[string]*Run // in this process, by lease
	idle     chan struct{}   // closed when draining and no run is left
	workers  map[string]*worker
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
	Slots    int                                  // attempts at the same time in this process, and as many of deliveries; 64
	Lease    time.Duration                        // how long an outside worker may be silent; 30 s
	LogAge   time.Duration                        // how long events are kept; 24 h
	Logger   *slog.Logger
}

// CancelGrace is how long a running attempt has to stop from when it was told.
const CancelGrace = 10 * time.Second

// Open starts an engine. Attempts that a former process left behind are queued again.
func Open(ctx context.Context, o Options) (*Engine, error) {
	e := &Engine{store: o.Store, handlers: map[string]Handler{}, wrap: o.Wrap, log: o.Logger, lease: cmp.Or(o.Lease, 30*time.Second),
		logAge: cmp.Or(o.LogAge, 24*time.Hour), epoch: o.Store.Head().Epoch, failed: make(chan struct{}), waking: newAlarm(), ticking: newAlarm(), tending: newAlarm(), runs: map[string]*Run{},
		drained: make(chan struct{}), idle: make(chan struct{}), workers: map[string]*worker{}, leases: map[string]*held{},
		settings: map[QueueName]QueueSettings{}, buckets: map[QueueName]*bucket{}}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
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
	}
	if err := e.recover(ctx); err != nil {
		return nil, err
	}
	e.commits = newCommitter(o.Store)
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
		slots.kinds = append(slices.Clip(slots.kinds), kind) // claims may hold the old slice
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

// recover looks at what ran when the last process ended. Its own handlers died with it:
// their jobs are queued again, which spends no attempt. Outside workers may be at
// work still: their leases get one fresh period.
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
			c := interrupt(job)
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
}

// Submit accepts a job: when it returns without error, the job is durable.
// ErrConflict with status 422 if the idempotency key stands for another request.
func (e *Engine) Submit(ctx context.Context, s Spec) (Accepted, error) {
	job, err := e.newJob(s)
	if err == nil {
		err = e.limitDeliveries(ctx, job.Tenant, len(job.Callbacks))
	}
	if err != nil {
		return Accepted{}, err
	}
	o := newOp(accept(job))
	o.change.Key, o.change.After = s.Key, s.After
	err = e.commits.submit(ctx, o)
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
	if err != nil {
		return Accepted{}, e.unavailable(ctx, err)
	}
	return Accepted{Job: o.change.Job, Position: o.change.Position}, nil
}

// Again says how a job is to be repeated. The zero value is: as it was.
type Again struct {
	Input   Value    // another input
	Targets []string // only these targets; the others keep what came of them
	Key     *Key     // idempotency key, if the caller sent one
	Caller  string   // in whose name
}

// Retry submits a job like one that has ended. The old one stays as it is. ErrConflict if
// it has not ended.
func (e *Engine) Retry(ctx context.Context, tenant string, id ID, again Again) (Accepted, error) {
	old, _, err := e.store.Job(ctx, tenant, id)
	if err != nil {
		return Accepted{}, err
	}
	if !old.State.Final() {
		return Accepted{}, newProblem(Conflict, "Not finished", "The job is %s; only a finished job can be retried.", old.State)
	}
	input, via := old.Input, old.Via
	if again.Input != nil {
		if old.Kind == KindWebhook { // else a callback's secret would sign anything
			return Accepted{}, invalid("/input", "a delivery is repeated as it was; leave it out")
		}
		input = again.Input
		via.Upstreams, via.Route = nil, "" // the operator opened them for requests of the route, not for what a caller writes
		if err := input.Compact(); err != nil {
			return Accepted{}, invalid("/input", "%s", err)
		}
	}
	var result Value
	if again.Targets != nil {
		if again.Input != nil {
			return Accepted{}, invalid("/targets", "give input or targets, not both")
		}
		h, _ := e.handler(old.Kind)
		if h.Repeat == nil {
			return Accepted{}, invalid("/targets", "a job of kind %s has no targets; leave it out", old.Kind)
		}
		if result, err = h.Repeat(&old, again.Targets); err != nil {
			return Accepted{}, err
		}
	}
	callbacks := slices.Clone(old.Callbacks)
	for i := range callbacks {
		callbacks[i].enable(true)
	}
	s := Spec{Kind: old.Kind, Queue: old.Queue, Input: input, Priority: old.Priority, Tags: old.Tags, OrderingKey: old.OrderingKey, FairKey: old.Key,
		QueueTimeout: old.QueueTimeout, Timeout: old.Timeout, MaxAttempts: old.MaxAttempts, Backoff: old.Backoff, NeverRerun: old.NeverRerun,
		Retention: old.Retention, RetryOf: old.ID, Via: via, Tenant: tenant, Caller: again.Caller, Key: again.Key, Callbacks: callbacks, result: result}
	if s.inside = old.Kind == KindWebhook; s.inside {
		s.Parent = old.Parent
	}
	return e.Submit(ctx, s)
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
	if h, ok := e.handler(s.Kind); ok && h.Check != nil {
		if err := h.Check(s.Input, s.Via); err != nil {
			return Job{}, err
		}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Job{}, err
	}
	now := time.Now().Truncate(time.Millisecond)
	j := Job{ID: id, Tenant: s.Tenant, Kind: s.Kind, Queue: s.Queue, State: Queued, Priority: s.Priority, Tags: s.Tags, Input: s.Input,
		OrderingKey: s.OrderingKey, Key: s.FairKey, MaxAttempts: s.MaxAttempts, Backoff: s.Backoff, Timeout: s.Timeout,
		QueueTimeout: s.QueueTimeout, NeverRerun: s.NeverRerun, Retention: s.Retention, RetryOf: s.RetryOf, Parent: s.Parent, Caller: s.Caller, Via: s.Via, Callbacks: s.Callbacks, Result: s.result, CreatedAt: now}
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
		var c Change
		if job.State == Running {
			job.CancelRequested = true
			c = Change{Job: job, If: Guard{Running, job.Lease}, Fields: FieldCancel, Event: Event{Type: JobCancelRequested}}
			if strings.HasPrefix(job.Lease, inProcess) { // an outside worker's grace begins when it is told
				c.Job.WakeAt, c.Fields = time.Now().Add(CancelGrace), c.Fields|FieldWake
			}
			c.Event.Data = c.Job.ChangedData(c.Fields)
		} else {
			c = finish(job, Guard{State: job.State}, Cancelled, ByUser, FieldState)
		}
		err = e.commits.do(ctx, newOp(c))
		if errors.Is(err, ErrConflict) {
			continue // it has moved on: look again
		}
		if err != nil {
			return job, pos, e.unavailable(ctx, err)
		}
		e.tell(job.Lease, ErrCancelRequested)
		return e.store.Job(ctx, tenant, id)
	}
}

// unavailable is what a caller gets to see of a store that can't take a change.
func (e *Engine) unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, ErrClosed) {
		return Unavailable("Not available", "The hub is shutting down or the request was given up; send it again with the same Idempotency-Key.")
	}
	if errors.Is(err, ErrNoSpace) {
		return Unavailable("No space left", "The hub's disk is full. Nothing was stored; try again when there is space.")
	}
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if e.commits.broken() != nil {
		return newProblem(Internal, "Store failed", "The hub's store failed; whether this was stored is unknown. Send it again with the same Idempotency-Key after the hub was restarted.")
	}
	return err
}

// Failed is closed when the store has failed for good; Err then says why. A process
// should end: only opening the store again tells what it holds.
func (e *Engine) Failed() <-chan struct{} { return e.failed }

// Err is why no job can be accepted, or nil. After ErrNoSpace it is nil again once
// there is space.
func (e *Engine) Err() error {
	e.commits.mu.Lock()
	defer e.commits.mu.Unlock()
	return cmp.Or(e.commits.failed, e.commits.full)
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
	var wake time.Time
	for _, c := range b.Changes {
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
// rest, and waits for all of the engine's goroutines. It does not close the store.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	e.draining = true
	close(e.drained)
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
	e.stop()
	e.commits.close()
	e.loops.Wait()
	return nil
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
