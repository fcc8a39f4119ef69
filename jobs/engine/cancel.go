package engine

import (
	"context"
	"errors"
	"strings"
	"time"

	"jobhub/jobs"
)

// Cancel cancels a job that does not run, and asks the worker of a running one to stop. It
// may be repeated; a job that has ended stays as it is.
func (e *Engine) Cancel(ctx context.Context, tenant string, id jobs.ID) (jobs.Job, jobs.Position, error) {
	for {
		job, pos, err := e.store.Job(ctx, tenant, id)
		if err != nil || job.State.Final() || job.CancelRequested {
			return job, pos, err
		}
		err = e.commits.do(ctx, newOp(cancelChange(job)))
		if errors.Is(err, jobs.ErrConflict) {
			continue // it has moved on: look again
		}
		if err != nil {
			return job, pos, e.storeProblem(err)
		}
		e.signalRun(job.Lease, jobs.ErrCancelRequested)
		return e.store.Job(context.WithoutCancel(ctx), tenant, id)
	}
}

// cancelChange is the change that cancels an unfinished job, or asks its worker to.
func cancelChange(job jobs.Job) *jobs.Change {
	if job.State != jobs.Running {
		return finish(job, jobs.Condition{State: job.State, Version: job.Version}, jobs.Cancelled, jobs.ByUser, jobs.FieldState)
	}
	job.CancelRequested = true
	c := &jobs.Change{Job: job, If: jobs.Condition{State: jobs.Running, Lease: job.Lease}, Fields: jobs.FieldCancel, Event: jobs.Event{Type: jobs.JobCancelRequested}}
	if strings.HasPrefix(job.Lease, inProcess) { // the grace of an outside worker begins when the request reaches it
		c.Job.WakeAt, c.Fields = time.Now().Add(CancelGrace), c.Fields|jobs.FieldWake
	}
	c.Event.Data = c.Job.ChangedData(c.Fields)
	return c
}

// CancelGrace is how long a running attempt may take to stop after it was asked to.
const CancelGrace = 10 * time.Second
