package engine

import (
	"context"
	"errors"
	"strings"
	"time"

	"jobhub/jobs"
)

// Verbs by which a worker ends an attempt.
const (
	verbComplete = "complete"
	verbFail     = "fail"
	verbSnooze   = "snooze"
	verbRelease  = "release"
)

// Complete ends an attempt with its result. The first verb wins: repeating it gives the
// job as it is, another one ErrConflict, and an old lease ErrLeaseLost.
func (e *Engine) Complete(ctx context.Context, tenant, token string, result jobs.Value) (jobs.Job, jobs.Position, error) {
	result, err := jobs.JsonMember("/result", result, jobs.MaxDepth)
	if err != nil {
		return jobs.Job{}, jobs.Position{}, err
	}
	return e.endAttempt(ctx, tenant, token, verbComplete, func(j jobs.Job) *jobs.Change { return settle(j, jobs.Result{Value: result}, nil, nil) })
}

// Fail ends a failed attempt. f says whether and when to retry.
func (e *Engine) Fail(ctx context.Context, tenant, token string, f *jobs.Failure) (jobs.Job, jobs.Position, error) {
	return e.endAttempt(ctx, tenant, token, verbFail, func(j jobs.Job) *jobs.Change { return settle(j, jobs.Result{}, f, nil) })
}

// Snooze schedules the job again after delay; the attempt does not count.
func (e *Engine) Snooze(ctx context.Context, tenant, token string, delay time.Duration) (jobs.Job, jobs.Position, error) {
	return e.endAttempt(ctx, tenant, token, verbSnooze, func(j jobs.Job) *jobs.Change { return snooze(j, delay) })
}

// Release gives the job back; the attempt does not count. A checkpoint is kept for the next.
func (e *Engine) Release(ctx context.Context, tenant, token string, checkpoint jobs.Value) (jobs.Job, jobs.Position, error) {
	checkpoint, err := jobs.JsonMember("/checkpoint", checkpoint, jobs.MaxDepth)
	if err != nil {
		return jobs.Job{}, jobs.Position{}, err
	}
	return e.endAttempt(ctx, tenant, token, verbRelease, func(j jobs.Job) *jobs.Change {
		c := release(j)
		if checkpoint != nil {
			c.Job.Checkpoint = checkpoint
			c.Fields |= jobs.FieldCheckpoint
		}
		return c
	})
}

func (e *Engine) endAttempt(ctx context.Context, tenant, token, verb string, decide func(jobs.Job) *jobs.Change) (jobs.Job, jobs.Position, error) {
	id, lease, err := parseToken(token)
	if err != nil {
		return jobs.Job{}, jobs.Position{}, err
	}
	job, pos, err := e.store.Job(ctx, tenant, id)
	if err != nil {
		return jobs.Job{}, pos, err
	}
	if job.State != jobs.Running || job.Lease != lease {
		return job, pos, settledAs(&job, lease, verb)
	}
	var c *jobs.Change
	if bad := e.catchPanic("the outcome of an attempt", id, func() { c = decide(job) }); bad != nil {
		return jobs.Job{}, pos, bad
	}
	c.Job.Settled, c.Job.Lost = lease+" "+verb, 0
	c.Fields |= jobs.FieldSettled | jobs.FieldLost
	o := newOp(c)
	o.bytes += len(c.Job.Result)
	err = e.commits.do(ctx, o)
	if err == nil || errors.Is(err, jobs.ErrConflict) {
		e.mu.Lock()
		e.endLeaseLocked(lease, false)
		e.mu.Unlock()
	}
	if err != nil && !errors.Is(err, jobs.ErrConflict) {
		return jobs.Job{}, pos, e.storeProblem(err)
	}
	now, pos, readErr := e.store.Job(context.WithoutCancel(ctx), tenant, id)
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
