package engine

import (
	"log/slog"
	"runtime/debug"

	"jobhub/jobs"
)

// catchPanic calls f and turns a panic into an error. Code that works with the data of one
// job is called through it, so that a panic does not end the hub and with it all other jobs.
func catchPanic(log *slog.Logger, what string, id jobs.ID, f func()) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("recovered from a panic", "in", what, "job", id, "panic", p, "stack", string(debug.Stack()))
			err = panicProblem(what)
		}
	}()
	f()
	return nil
}

func panicProblem(what string) *jobs.Problem {
	p := jobs.NewProblem(jobs.Internal, "Internal error", "The hub failed in %s. This is a defect of the hub; its log says more.", what)
	p.Status = 500
	return p
}
