package engine

import (
	"context"
	"errors"

	"jobhub/jobs"
	"jobhub/jobs/engine/commit"
	"jobhub/jobs/engine/transition"
)

// Cancel cancels a job that does not run, and asks the worker of a running one to stop. It
// may be repeated; a job that has ended stays as it is.
func (e *Engine) Cancel(ctx context.Context, tenant string, id jobs.ID) (jobs.Job, jobs.Position, error) {
	for {
		job, pos, err := e.store.Job(ctx, tenant, id)
		if err != nil || job.State.Final() || job.CancelRequested {
			return job, pos, err
		}
		err = e.commits.Do(ctx, commit.NewOp(transition.Cancel(job)))
		if errors.Is(err, jobs.ErrConflict) {
			continue // it has moved on: look again
		}
		if err != nil {
			return job, pos, commit.Problem(err)
		}
		e.signal(job.Lease, jobs.ErrCancelRequested)
		return e.store.Job(context.WithoutCancel(ctx), tenant, id)
	}
}

// signal ends the context of the attempt with that lease, if it runs in this process. If an
// outside worker holds it, the worker is asked to cancel.
func (e *Engine) signal(lease string, cause error) {
	e.attempts.signal(lease, cause)
	if cause == jobs.ErrCancelRequested {
		e.Workers.cancel(lease)
	}
}
