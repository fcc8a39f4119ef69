package jobs

import (
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
