package engine

import (
	"context"
	"errors"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine/attempt"
	"jobhub/jobs/engine/commit"
	"jobhub/jobs/engine/transition"
)

// Report stores reports of a worker about its attempt. All reports up to accepted are
// durable; it is less than the number of the last report if the store failed in between.
func (ws *Workers) Report(ctx context.Context, tenant, token string, reports []attempt.Report) (accepted uint64, state LeaseState, err error) {
	_, lease, err := parseToken(token)
	if err != nil {
		return 0, LeaseLost, err
	}
	ws.mu.Lock()
	h := ws.leases[lease]
	ws.mu.Unlock()
	if h == nil || h.job.Tenant != tenant {
		return 0, LeaseLost, jobs.ErrLeaseLost
	}
	select { // a repeated report waits for the call that brought it first
	case h.reporting <- struct{}{}:
		defer func() { <-h.reporting }()
	case <-ctx.Done():
		return 0, LeaseLost, commit.GivenUp(ctx)
	}
	before := h.reports.Reported()
	err = h.reports.Store(ctx, reports)
	switch {
	case err == nil:
	case errors.Is(err, jobs.ErrConflict):
		return 0, LeaseLost, jobs.ErrLeaseLost
	case h.reports.Reported() == before || ws.commits.Failure() != nil:
		return 0, LeaseLost, commit.Problem(err)
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return h.reports.Reported(), ws.leaseStateLocked(tenant, lease), nil
}

// Verbs by which a worker ends an attempt.
const (
	verbComplete = "complete"
	verbFail     = "fail"
	verbSnooze   = "snooze"
	verbRelease  = "release"
)

// Complete ends an attempt with its result. The first verb wins: repeating it gives the
// job as it is, another one ErrConflict, and an old lease ErrLeaseLost.
func (ws *Workers) Complete(ctx context.Context, tenant, token string, result jobs.Value) (jobs.Job, jobs.Position, error) {
	result, err := jobs.JsonMember("/result", result, jobs.MaxDepth)
	if err != nil {
		return jobs.Job{}, jobs.Position{}, err
	}
	return ws.endAttempt(ctx, tenant, token, verbComplete, func(j jobs.Job) *jobs.Change { return transition.Settle(j, jobs.Result{Value: result}, nil, nil) })
}

// Fail ends a failed attempt. f says whether and when to retry.
func (ws *Workers) Fail(ctx context.Context, tenant, token string, f *jobs.Failure) (jobs.Job, jobs.Position, error) {
	return ws.endAttempt(ctx, tenant, token, verbFail, func(j jobs.Job) *jobs.Change { return transition.Settle(j, jobs.Result{}, f, nil) })
}

// Snooze schedules the job again after delay; the attempt does not count.
func (ws *Workers) Snooze(ctx context.Context, tenant, token string, delay time.Duration) (jobs.Job, jobs.Position, error) {
	return ws.endAttempt(ctx, tenant, token, verbSnooze, func(j jobs.Job) *jobs.Change { return transition.Snooze(j, delay) })
}

// Release gives the job back; the attempt does not count. A checkpoint is kept for the next.
func (ws *Workers) Release(ctx context.Context, tenant, token string, checkpoint jobs.Value) (jobs.Job, jobs.Position, error) {
	checkpoint, err := jobs.JsonMember("/checkpoint", checkpoint, jobs.MaxDepth)
	if err != nil {
		return jobs.Job{}, jobs.Position{}, err
	}
	return ws.endAttempt(ctx, tenant, token, verbRelease, func(j jobs.Job) *jobs.Change {
		c := transition.Release(j)
		if checkpoint != nil {
			c.Job.Checkpoint = checkpoint
			c.Fields |= jobs.FieldCheckpoint
		}
		return c
	})
}

func (ws *Workers) endAttempt(ctx context.Context, tenant, token, verb string, decide func(jobs.Job) *jobs.Change) (jobs.Job, jobs.Position, error) {
	id, lease, err := parseToken(token)
	if err != nil {
		return jobs.Job{}, jobs.Position{}, err
	}
	job, pos, err := ws.store.Job(ctx, tenant, id)
	if err != nil {
		return jobs.Job{}, pos, err
	}
	if job.State != jobs.Running || job.Lease != lease {
		return job, pos, settledAs(&job, lease, verb)
	}
	var c *jobs.Change
	if bad := catchPanic(ws.log, "the outcome of an attempt", id, func() { c = decide(job) }); bad != nil {
		return jobs.Job{}, pos, bad
	}
	c.Job.Settled, c.Job.Lost = lease+" "+verb, 0
	c.Fields |= jobs.FieldSettled | jobs.FieldLost
	o := commit.NewOp(c)
	o.Bytes += len(c.Job.Result)
	err = ws.commits.Do(ctx, o)
	if err == nil || errors.Is(err, jobs.ErrConflict) {
		ws.mu.Lock()
		ws.endLeaseLocked(lease, false)
		ws.mu.Unlock()
	}
	if err != nil && !errors.Is(err, jobs.ErrConflict) {
		return jobs.Job{}, pos, commit.Problem(err)
	}
	now, pos, readErr := ws.store.Job(context.WithoutCancel(ctx), tenant, id)
	if readErr != nil || err == nil {
		return now, pos, readErr
	}
	return now, pos, settledAs(&now, lease, verb) // another call ended the attempt first
}

// settledAs is the outcome of a verb for an attempt that has ended: nil if it ended with the
// same verb.
func settledAs(job *jobs.Job, lease, verb string) error {
	by, how, _ := strings.Cut(job.Settled, " ")
	switch {
	case by != lease:
		return jobs.ErrLeaseLost
	case how != verb:
		return jobs.NewProblem(jobs.Conflict, "Already ended", "This attempt was ended with %s before.", how)
	}
	return nil
}
