package engine

import (
	"context"
	"errors"
	"log/slog"
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

// retention deletes old jobs and old events.
type retention struct {
	store    jobs.Store
	log      *slog.Logger
	upkeep   alarm // at which run is called
	logAge   time.Duration
	nextTrim time.Time // when the log is trimmed next; only run uses it

	mu   sync.Mutex // protects the fields below
	next time.Time  // not later than the earliest RetainedUntil; the zero time at the start
}

// run deletes what is due, and returns when it has to run again.
func (r *retention) run(ctx context.Context, now time.Time) (next time.Time) {
	if !now.Before(r.nextTrim) {
		r.trimLog(ctx)
		r.nextTrim = now.Add(retentionInterval)
	}
	return earlierTime(r.nextTrim, r.deleteJobs(ctx, now))
}

// deleteJobs deletes jobs whose retention has ended, and returns when it has to run
// again.
func (r *retention) deleteJobs(ctx context.Context, now time.Time) (next time.Time) {
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
		n, err = r.store.Trim(ctx, jobs.Trim{Retained: now, Limit: deletionBatch})
	}
	var page jobs.Page
	if err == nil {
		page, err = r.store.List(ctx, jobs.Filter{Retained: true})
	}
	if err != nil && ctx.Err() == nil {
		r.log.Error("deleting jobs that are out of their retention", "error", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !page.Wake.IsZero() {
		r.next = earlierTime(r.next, laterTime(page.Wake, now.Add(deletionPause)))
	}
	return r.next
}

// scheduleDeletion makes sure that jobs are deleted at that time at the latest.
func (r *retention) scheduleDeletion(at time.Time) {
	r.mu.Lock()
	brought := at.Before(r.next)
	if brought {
		r.next = at
	}
	r.mu.Unlock()
	if brought {
		r.upkeep.setBy(at)
	}
}

// trimLog deletes events that are older than logAge, or more than maxLogEvents.
func (r *retention) trimLog(ctx context.Context) {
	seq, err := r.seqBefore(ctx, time.Now().Add(-r.logAge))
	if head := r.store.Head().Seq; head > maxLogEvents {
		seq = max(seq, head-maxLogEvents)
	}
	if err == nil {
		_, err = r.store.Trim(ctx, jobs.Trim{Seq: seq})
	}
	if err != nil && ctx.Err() == nil {
		r.log.Error("deleting old events", "error", err)
	}
}

// seqBefore finds the last event before a time.
func (r *retention) seqBefore(ctx context.Context, at time.Time) (uint64, error) {
	low, high := uint64(0), r.store.Head().Seq // the answer is in [low, high]
	for low < high {
		mid := (low + high + 1) / 2
		events, err := r.store.Read(ctx, jobs.ReadQuery{After: mid - 1, MaxBytes: 1})
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
