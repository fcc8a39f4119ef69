package jobs

import (
	"context"
	"errors"
	"strings"
	"time"
)

// Cancel cancels a job that does not run, and asks the worker of a running one to stop. It
// may be repeated; a job that has ended stays as it is.
func (e *Engine) Cancel(ctx context.Context, tenant string, id ID) (Job, Position, error) {
	for {
		job, pos, err := e.store.Job(ctx, tenant, id)
		if err != nil || job.State.Final() || job.CancelRequested {
			return job, pos, err
		}
		err = e.commits.do(ctx, newOp(cancelChange(job)))
		if errors.Is(err, ErrConflict) {
			continue // it has moved on: look again
		}
		if err != nil {
			return job, pos, e.storeProblem(err)
		}
		e.signalRun(job.Lease, ErrCancelRequested)
		return e.store.Job(context.WithoutCancel(ctx), tenant, id)
	}
}

// cancelChange is the change that cancels an unfinished job, or asks its worker to.
func cancelChange(job Job) *Change {
	if job.State != Running {
		return finish(job, Condition{State: job.State, Version: job.Version}, Cancelled, ByUser, FieldState)
	}
	job.CancelRequested = true
	c := &Change{Job: job, If: Condition{State: Running, Lease: job.Lease}, Fields: FieldCancel, Event: Event{Type: JobCancelRequested}}
	if strings.HasPrefix(job.Lease, inProcess) { // the grace of an outside worker begins when the request reaches it
		c.Job.WakeAt, c.Fields = time.Now().Add(CancelGrace), c.Fields|FieldWake
	}
	c.Event.Data = c.Job.ChangedData(c.Fields)
	return c
}

// CancelGrace is how long a running attempt may take to stop after it was asked to.
const CancelGrace = 10 * time.Second
