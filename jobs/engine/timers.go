package engine

import (
	"context"
	"errors"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine/commit"
	"jobhub/jobs/engine/transition"
)

// wakeDue changes all jobs whose WakeAt has come, and returns the next WakeAt.
func (e *Engine) wakeDue(ctx context.Context) time.Time {
	for {
		now := time.Now()
		page, err := e.store.List(ctx, jobs.Filter{Due: now, Limit: commit.MaxChanges})
		if err != nil {
			if ctx.Err() == nil {
				e.log.Error("looking for due jobs", "error", err)
			}
			return now.Add(time.Second)
		}
		var ops []*commit.Op
		for _, job := range page.Jobs {
			var c *jobs.Change
			if catchPanic(e.log, "what is due of a job", job.ID, func() { c = transition.Due(job, now) }) == nil && c != nil {
				o := commit.NewOp(c)
				if e.commits.Put(ctx, o) == nil {
					ops = append(ops, o)
				}
			}
		}
		done := 0
		for _, o := range ops {
			err := o.Wait()
			if ctx.Err() != nil {
				return time.Time{}
			}
			if errors.Is(err, jobs.ErrNoSpace) { // the engine is ending
				return now.Add(time.Second)
			}
			if !errors.Is(err, jobs.ErrDamaged) {
				done++
			}
			if err == nil && o.Change.If.State == jobs.Running {
				e.signal(o.Change.If.Lease, jobs.ErrRevoked)
			}
		}
		if len(page.Jobs) == 0 {
			return page.Wake
		}
		if done == 0 { // none could be changed: wait before the next attempt
			return now.Add(time.Second)
		}
	}
}

// upkeep does what is due besides changes of jobs, and returns when it has to run again.
func (e *Engine) upkeep(ctx context.Context) (next time.Time) {
	now := time.Now()
	next = earlierTime(e.retention.run(ctx, now), e.claims.refill(now))
	return earlierTime(next, e.Workers.expire(ctx, now))
}
