package engine

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"sync"

	"jobhub/jobs"
	"jobhub/jobs/engine/attempt"
	"jobhub/jobs/engine/commit"
	"jobhub/jobs/engine/transition"
)

// attempts runs the handlers of this process.
//
//	claims → start → execute → callHandler → the handler → change → Committer
type attempts struct {
	commits    *commit.Committer
	claims     *claims
	deliveries *deliveries
	log        *slog.Logger
	wrap       func(kind string, h jobs.Handler) jobs.Handler // nil for none
	pools      [2]*slotPool                                   // for handlers, and for those of deliveries: slow jobs must not hold callbacks up

	mu       sync.Mutex // protects the fields below; locked after claims.mu
	handlers map[string]jobs.Handler
	runs     map[string]*run // by lease
	ending   bool            // no claim can bring further jobs
	idle     chan struct{}   // closed when ending and no run is left
}

// run is an attempt in this process.
type run struct {
	*attempt.Run
	deliveries *deliveries
	slots      *slotPool
	cancel     context.CancelCauseFunc
}

func newAttempts(commits *commit.Committer, cs *claims, slots int, wrap func(kind string, h jobs.Handler) jobs.Handler, log *slog.Logger) *attempts {
	a := &attempts{commits: commits, claims: cs, log: log, wrap: wrap, handlers: map[string]jobs.Handler{}, runs: map[string]*run{}, idle: make(chan struct{})}
	for i := range a.pools {
		a.pools[i] = cs.addPool(slots, a.start)
	}
	return a
}

// handle adds the handler of a kind, or replaces it.
func (a *attempts) handle(kind string, h jobs.Handler) {
	if a.wrap != nil {
		h = a.wrap(kind, h)
	}
	a.mu.Lock()
	_, known := a.handlers[kind]
	a.handlers[kind] = h
	a.mu.Unlock()
	slots := a.pools[0]
	if kind == jobs.KindWebhook {
		slots = a.pools[1]
	}
	a.claims.mu.Lock()
	defer a.claims.mu.Unlock()
	if !known {
		at, _ := slices.BinarySearch(slots.kinds, kind)
		slots.kinds = slices.Insert(slices.Clone(slots.kinds), at, kind) // claims may hold the old slice
	}
	slots.wantsJobs = true
	a.claims.notify(jobs.Notice{Subject: jobs.HandlersChanged})
}

func (a *attempts) handler(kind string) (jobs.Handler, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	h, ok := a.handlers[kind]
	return h, ok
}

// check asks a handler whether it accepts an input.
func (a *attempts) check(h jobs.Handler, input jobs.Value, via jobs.Via) (err error) {
	if h.Check == nil {
		return nil
	}
	if bad := catchPanic(a.log, "the check of an input", jobs.ID{}, func() { err = h.Check(input, via) }); bad != nil {
		return bad
	}
	return err
}

// start begins an attempt. It is called with claims.mu held.
func (a *attempts) start(job jobs.Job, slots *slotPool) {
	ctx, cancel := context.WithCancelCause(context.Background())
	job.Input = job.Credentials.Join(job.Input)
	r := &run{Run: attempt.New(a.commits, job), deliveries: a.deliveries, slots: slots, cancel: cancel}
	a.mu.Lock()
	a.runs[job.Lease] = r
	a.mu.Unlock()
	go a.execute(ctx, r)
}

// execute runs the handler of one attempt and stores its outcome.
func (a *attempts) execute(ctx context.Context, r *run) {
	defer r.cancel(nil)
	job := r.Job()
	ctx, stop := context.WithTimeoutCause(ctx, job.Timeout, jobs.ErrTimeout)
	defer stop()
	res, err := a.callHandler(ctx, r)
	c := a.change(r, res, err, context.Cause(ctx))
	o := commit.NewOp(c)
	o.Bytes += len(res.Value)
	if res.Response != nil {
		o.Bytes += len(res.Response.Body)
	}
	err = a.commits.Put(context.Background(), o)
	a.claims.freeSlot(r.slots, job)
	if err == nil {
		err = o.Wait()
	}
	if err != nil {
		a.log.Warn("the outcome of an attempt was not recorded", "job", job.ID, "attempt", job.Attempt, "outcome", c.Event.Type.String(), "error", err)
	}
	r.Finished()
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.runs, job.Lease)
	a.closeIfIdleLocked()
}

// callHandler calls the handler. A panic fails the attempt and does not end the hub.
func (a *attempts) callHandler(ctx context.Context, r *run) (res jobs.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			a.log.Error("a handler panicked", "kind", r.Job().Kind, "job", r.Job().ID, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("the handler panicked: %v", p)
		}
	}()
	h, _ := a.handler(r.Job().Kind)
	res, err = h.Run(ctx, r)
	value, wrong := jobs.JsonMember("/result", res.Value, jobs.MaxDepth)
	if res.Value = value; wrong != nil && err == nil {
		err = &jobs.Failure{Problem: jobs.NewProblem(jobs.Internal, "Result not kept", "The handler's result can't be kept: %s.", wrong.(*jobs.Problem).Errors[0].Detail), Never: true}
	}
	return res, err
}

// change is the change that ends an attempt. If its result can't be stored, the
// attempt has failed.
func (a *attempts) change(r *run, res jobs.Result, err, cause error) (c *jobs.Change) {
	bad := catchPanic(a.log, "the outcome of an attempt", r.Job().ID, func() {
		r.Flush()
		c = transition.Settle(*r.Job(), res, err, cause)
	})
	if bad != nil {
		c = transition.Settle(*r.Job(), jobs.Result{}, fmt.Errorf("what it ended with can't be stored: %w", bad), cause)
	}
	return c
}

// signal ends the context of the attempt with that lease, if it runs in this process.
func (a *attempts) signal(lease string, cause error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r := a.runs[lease]; r != nil {
		r.cancel(cause)
	}
}

// closeIfIdleLocked closes idle once no run is left and none can come.
func (a *attempts) closeIfIdleLocked() {
	if a.ending && len(a.runs) == 0 {
		select {
		case <-a.idle:
		default:
			close(a.idle)
		}
	}
}

// end waits until no run is left. When ctx ends, it tells the handlers to stop, so that their
// jobs are released. No claim may bring further jobs.
func (a *attempts) end(ctx context.Context) {
	a.mu.Lock()
	a.ending = true
	a.closeIfIdleLocked()
	a.mu.Unlock()
	select {
	case <-a.idle:
		return
	case <-ctx.Done():
	}
	a.mu.Lock()
	a.log.Info("releasing running jobs", "jobs", len(a.runs))
	for _, r := range a.runs {
		r.cancel(jobs.ErrDraining)
	}
	a.mu.Unlock()
	<-a.idle
}
