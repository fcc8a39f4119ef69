package jobs

import (
	"fmt"
	"runtime/debug"
)

// catchPanic calls f, and makes an error of a panic. Whatever is called with the data of a job
// goes through it where a panic would otherwise end the hub, and with it everybody's jobs.
func (e *Engine) catchPanic(what string, id ID, f func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			e.log.Error("recovered from a panic", "in", what, "job", id, "panic", p, "stack", string(debug.Stack()))
			err = panicProblem(what)
		}
	}()
	f()
	return nil
}

func panicProblem(what string) *Problem {
	p := newProblem(Internal, "Internal error", "The hub failed in %s. This is a defect of the hub; its log says more.", what)
	p.Status = 500
	return p
}

// check asks the handler of a kind whether it takes an input.
func (e *Engine) check(h Handler, input Value, via Via) (err error) {
	if h.Check == nil {
		return nil
	}
	if bad := e.catchPanic("the check of an input", ID{}, func() { err = h.Check(input, via) }); bad != nil {
		return bad
	}
	return err
}

// attemptChange is the change that ends an attempt. Where that can't be made of its result, the
// attempt has failed.
func (e *Engine) attemptChange(r *Run, res Result, err, cause error) (c *Change) {
	bad := e.catchPanic("the outcome of an attempt", r.job.ID, func() {
		r.flushOutput()
		c = settle(r.job, res, err, cause)
	})
	if bad != nil {
		c = settle(r.job, Result{}, fmt.Errorf("what it ended with can't be stored: %w", bad), cause)
	}
	return c
}
