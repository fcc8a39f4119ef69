package jobs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

// Configure changes the settings of a queue, which comes into being on first mention.
// edit gets the settings as they are and may refuse with an error.
func (e *Engine) Configure(ctx context.Context, tenant, name string, edit func(*QueueSettings) error) error {
	if !e.names.has(tenant, name) && !WellFormedName(name) { // one of an earlier version may have another name
		return ErrNotFound
	}
	e.configuring.Lock()
	defer e.configuring.Unlock()
	queue := QueueName{tenant, name}
	e.mu.Lock()
	old := e.settings[queue]
	e.mu.Unlock()
	set := old
	set.Callbacks = slices.Clone(old.Callbacks)
	if err := edit(&set); err != nil {
		return err
	}
	if err := e.names.mention(tenant, name, ""); err != nil {
		return err
	}
	c := &QueueChange{Tenant: tenant, Name: name, Settings: set}
	switch {
	case old.Paused == nil && set.Paused != nil:
		data, err := json.Marshal(set.Paused)
		if err != nil {
			return err
		}
		c.Event = Event{Type: QueuePaused, Data: data}
	case old.Paused != nil && set.Paused == nil:
		c.Event = Event{Type: QueueResumed, Data: Value(`{}`)}
	}
	o := newOp(&Change{})
	o.queue = c
	if err := e.commits.do(ctx, o); err != nil {
		return e.storeProblem(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cacheSettingsLocked(queue, set)
	for _, c := range e.claimers {
		c.wantsJobs = true
	}
	e.commits.trigger(true)
	return nil
}

// Settings of a queue as they are stored.
func (e *Engine) Settings(tenant, name string) QueueSettings {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.settings[QueueName{tenant, name}]
}

// maxReason is the longest reason of a pause, in bytes.
const maxReason = 1000

// Pause stops a queue from starting jobs. It is repeated without effect. A reason of more
// than 1000 bytes is refused.
func (e *Engine) Pause(ctx context.Context, tenant, name, by, reason string) error {
	if len(reason) > maxReason {
		return invalid("/reason", "must be up to %d bytes", maxReason)
	}
	by, reason = strings.ToValidUTF8(by, "\ufffd"), strings.ToValidUTF8(reason, "\ufffd")
	return e.Configure(ctx, tenant, name, func(s *QueueSettings) error {
		if s.Paused == nil {
			s.Paused = &Pause{At: time.Now().Truncate(time.Millisecond).UTC(), By: by, Reason: reason}
		}
		return nil
	})
}

// Resume lets a paused queue go on.
func (e *Engine) Resume(ctx context.Context, tenant, name string) error {
	return e.Configure(ctx, tenant, name, func(s *QueueSettings) error { s.Paused = nil; return nil })
}

// cacheSettingsLocked takes over settings that are stored.
func (e *Engine) cacheSettingsLocked(name QueueName, set QueueSettings) {
	e.settings[name] = set
	old := e.buckets[name]
	switch {
	case set.Rate.N == 0:
		delete(e.buckets, name)
	case old == nil || old.rate != set.Rate:
		e.buckets[name] = &tokenBucket{rate: set.Rate, tokens: float64(set.Rate.N), at: time.Now()}
	}
}

const (
	retentionInterval = time.Minute
	deletionPause     = time.Second // between deletions of jobs
	deletionBatch     = 500         // jobs deleted in one transaction
	maxLogEvents      = 20_000_000  // events kept at the most, about 2 GB
)

// trimLog deletes events that have been kept for their time.
func (e *Engine) trimLog(ctx context.Context) {
	seq, err := e.seqBefore(ctx, time.Now().Add(-e.logAge))
	if head := e.store.Head().Seq; head > maxLogEvents {
		seq = max(seq, head-maxLogEvents)
	}
	if err == nil {
		_, err = e.store.Trim(ctx, Trim{Seq: seq})
	}
	if err != nil && ctx.Err() == nil {
		e.log.Error("deleting old events", "error", err)
	}
}

// retention knows when the next finished job is to be deleted.
type retention struct {
	mu   sync.Mutex // protects the fields below
	next time.Time  // the earliest RetainedUntil, or before; the zero time at the start
}

// deleteExpiredJobs deletes jobs that have been kept for their time, and returns when it has to look
// again.
func (e *Engine) deleteExpiredJobs(ctx context.Context, now time.Time) (next time.Time) {
	r := &e.retention
	r.mu.Lock()
	next = r.next
	if next.After(now) {
		r.mu.Unlock()
		return next
	}
	r.next = now.Add(retentionInterval) // what ends from now on may bring it forward
	r.mu.Unlock()
	var err error
	for n := deletionBatch; err == nil && n == deletionBatch && ctx.Err() == nil; {
		n, err = e.store.Trim(ctx, Trim{Retained: now, Limit: deletionBatch})
	}
	var page Page
	if err == nil {
		page, err = e.store.List(ctx, Filter{Retained: true})
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

// scheduleDeletion notes when a job that has ended is to be deleted.
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

// seqBefore finds the last event before a time.
func (e *Engine) seqBefore(ctx context.Context, at time.Time) (uint64, error) {
	low, high := uint64(0), e.store.Head().Seq // the answer is in [low, high]
	for low < high {
		mid := (low + high + 1) / 2
		events, err := e.store.Read(ctx, ReadQuery{After: mid - 1, MaxBytes: 1})
		switch {
		case errors.Is(err, ErrTrimmed) || (err == nil && len(events) > 0 && events[0].At.Before(at)):
			low = mid
		case err != nil:
			return 0, err
		default:
			high = mid - 1
		}
	}
	return low, nil
}
