package engine

import (
	"context"
	"errors"
	"time"

	"jobhub/jobs"
)

// upkeep ends leases after their deadline, wakes claimers that wait for a rate, removes
// silent workers, and deletes old events and jobs. It returns when it has to run again.
func (e *Engine) upkeep(ctx context.Context) (next time.Time) {
	now := time.Now()
	if !now.Before(e.nextLogTrim) {
		e.trimLog(ctx)
		e.nextLogTrim = now.Add(retentionInterval)
	}
	next = earlierTime(e.nextLogTrim, e.deleteExpiredJobs(ctx, now))
	var ended []*op
	e.mu.Lock()
	for lease, h := range e.leases {
		if at := h.deadline(); at.After(now) {
			next = earlierTime(next, at)
			continue
		}
		ended = append(ended, newOp(h.deadlineChange(now)))
		e.endLeaseLocked(lease, true)
	}
	for _, w := range e.workers {
		if at := w.seen.Add(2 * e.leaseTime); at.After(now) || w.waiting > 0 || len(w.holds) > 0 {
			next = earlierTime(next, laterTime(at, now.Add(time.Second)))
		} else {
			e.removeWorkerLocked(w)
		}
	}
	for _, k := range e.buckets {
		if !k.empty {
			continue
		}
		if k.refill(now); k.tokens < 1 {
			next = earlierTime(next, k.next())
			continue
		}
		k.empty = false
		e.retryLimitedLocked()
		e.commits.trigger(true)
	}
	e.mu.Unlock()
	for _, o := range ended {
		if err := e.commits.doWhenSpace(ctx, o); err != nil && ctx.Err() == nil && !errors.Is(err, jobs.ErrConflict) {
			e.log.Error("ending a lease", "job", o.change.Job.ID, "error", err)
		}
	}
	return next
}

func earlierTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func laterTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
