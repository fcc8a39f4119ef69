package engine

import (
	"context"
	"fmt"
	"runtime/debug"

	"jobhub/jobs"
)

// startRunLocked begins an attempt in this process.
func (e *Engine) startRunLocked(job jobs.Job, slots *slotPool) {
	ctx, cancel := context.WithCancelCause(context.Background())
	job.Input = job.Credentials.Join(job.Input)
	r := &attemptRun{engine: e, pool: slots, job: job, cancel: cancel, incomplete: map[string][]byte{}}
	e.runs[job.Lease] = r
	go e.execute(ctx, r)
}

// execute runs the handler of one attempt and stores its outcome.
func (e *Engine) execute(ctx context.Context, r *attemptRun) {
	defer r.cancel(nil)
	ctx, stop := context.WithTimeoutCause(ctx, r.job.Timeout, jobs.ErrTimeout)
	defer stop()
	res, err := e.callHandler(ctx, r)
	c := e.attemptChange(r, res, err, context.Cause(ctx))
	o := newOp(c)
	o.bytes += len(res.Value)
	if res.Response != nil {
		o.bytes += len(res.Response.Body)
	}
	err = e.commits.put(context.Background(), o)
	e.freeSlot(r)
	if err == nil {
		err = o.wait()
	}
	if err != nil {
		e.log.Warn("the outcome of an attempt was not recorded", "job", r.job.ID, "attempt", r.job.Attempt, "outcome", c.Event.Type.String(), "error", err)
	}
	for _, f := range r.finally { // the handler has returned
		f()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.runs, r.job.Lease)
	e.closeIfIdleLocked()
}

// callHandler calls the handler. A panic fails the attempt and does not end the hub.
func (e *Engine) callHandler(ctx context.Context, r *attemptRun) (res jobs.Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			e.log.Error("a handler panicked", "kind", r.job.Kind, "job", r.job.ID, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("the handler panicked: %v", p)
		}
	}()
	h, _ := e.handler(r.job.Kind)
	res, err = h.Run(ctx, r)
	value, wrong := jobs.JsonMember("/result", res.Value, jobs.MaxDepth)
	if res.Value = value; wrong != nil && err == nil {
		err = &jobs.Failure{Problem: jobs.NewProblem(jobs.Internal, "Result not kept", "The handler's result can't be kept: %s.", wrong.(*jobs.Problem).Errors[0].Detail), Never: true}
	}
	return res, err
}

// attemptChange is the change that ends an attempt. If its result can't be stored, the
// attempt has failed.
func (e *Engine) attemptChange(r *attemptRun, res jobs.Result, err, cause error) (c *jobs.Change) {
	bad := e.catchPanic("the outcome of an attempt", r.job.ID, func() {
		r.flushOutput()
		c = settle(r.job, res, err, cause)
	})
	if bad != nil {
		c = settle(r.job, jobs.Result{}, fmt.Errorf("what it ended with can't be stored: %w", bad), cause)
	}
	return c
}

// signalRun ends the context of the attempt with that lease if it runs in this process. If an
// outside worker holds it, the worker is asked to cancel.
func (e *Engine) signalRun(lease string, cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.runs[lease]; r != nil {
		r.cancel(cause)
	}
	if h := e.leases[lease]; h != nil && cause == jobs.ErrCancelRequested {
		h.run.job.CancelRequested = true
		e.notifyWorkerLocked(h.worker)
	}
}
