package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"jobhub/jobs"
)

const (
	retentionInterval = time.Minute
	deletionPause     = time.Second // between deletions of jobs
	deletionBatch     = 500         // jobs deleted in one transaction
	maxLogEvents      = 20_000_000  // events kept at the most, about 2 GB
)

// retention holds when the next finished job is to be deleted.
type retention struct {
	mu   sync.Mutex // protects the fields below
	next time.Time  // not later than the earliest RetainedUntil; the zero time at the start
}

// deleteExpiredJobs deletes jobs whose retention has ended, and returns when it has to run
// again.
func (e *Engine) deleteExpiredJobs(ctx context.Context, now time.Time) (next time.Time) {
	r := &e.retention
	r.mu.Lock()
	next = r.next
	if next.After(now) {
		r.mu.Unlock()
		return next
	}
	r.next = now.Add(retentionInterval) // jobs that end from now on may make it earlier
	r.mu.Unlock()
	var err error
	for n := deletionBatch; err == nil && n == deletionBatch && ctx.Err() == nil; {
		n, err = e.store.Trim(ctx, jobs.Trim{Retained: now, Limit: deletionBatch})
	}
	var page jobs.Page
	if err == nil {
		page, err = e.store.List(ctx, jobs.Filter{Retained: true})
	}
	if err != nil && ctx.Err() == nil {
		e.log.Error("deleting jobs that are out of their retention", "error", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !page.Wake.IsZero() {
		r.next = earlierTime(r.next, laterTime(page.Wake, now.Add(deletionPause)))
	}
	return r.next
}

// scheduleDeletion makes sure that jobs are deleted at that time at the latest.
func (e *Engine) scheduleDeletion(at time.Time) {
	r := &e.retention
	r.mu.Lock()
	brought := at.Before(r.next)
	if brought {
		r.next = at
	}
	r.mu.Unlock()
	if brought {
		e.upkeepAlarm.setBy(at)
	}
}

// trimLog deletes events that are older than logAge, or more than maxLogEvents.
func (e *Engine) trimLog(ctx context.Context) {
	seq, err := e.seqBefore(ctx, time.Now().Add(-e.logAge))
	if head := e.store.Head().Seq; head > maxLogEvents {
		seq = max(seq, head-maxLogEvents)
	}
	if err == nil {
		_, err = e.store.Trim(ctx, jobs.Trim{Seq: seq})
	}
	if err != nil && ctx.Err() == nil {
		e.log.Error("deleting old events", "error", err)
	}
}

// seqBefore finds the last event before a time.
func (e *Engine) seqBefore(ctx context.Context, at time.Time) (uint64, error) {
	low, high := uint64(0), e.store.Head().Seq // the answer is in [low, high]
	for low < high {
		mid := (low + high + 1) / 2
		events, err := e.store.Read(ctx, jobs.ReadQuery{After: mid - 1, MaxBytes: 1})
		switch {
		case errors.Is(err, jobs.ErrTrimmed) || (err == nil && len(events) > 0 && events[0].At.Before(at)):
			low = mid
		case err != nil:
			return 0, err
		default:
			high = mid - 1
		}
	}
	return low, nil
}
