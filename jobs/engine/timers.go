package engine

import (
	"context"
	"errors"
	"time"

	"jobhub/jobs"
)

// alarm calls a function at times that can be set earlier while it waits.
type alarm struct {
	times chan time.Time
}

func newAlarm() alarm { return alarm{make(chan time.Time, 1)} }

// setBy makes the alarm go off at that time at the latest.
func (a alarm) setBy(at time.Time) {
	for {
		select {
		case a.times <- at:
			return
		case other := <-a.times:
			if other.Before(at) {
				at = other
			}
		}
	}
}

// run calls ring at once and then whenever it is time, until ctx ends. ring returns when it
// has to be called again, which replaces all earlier calls of setBy; the zero time for never.
func (a alarm) run(ctx context.Context, ring func(context.Context) time.Time) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	next := time.Now() // when the timer fires; zero if it does not
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-a.times:
			if next.IsZero() || at.Before(next) {
				next = at
				timer.Reset(time.Until(next))
			}
			continue
		case <-timer.C:
		}
		if next = ring(ctx); !next.IsZero() {
			timer.Reset(max(time.Until(next), 0))
		}
	}
}

// wakeDue changes all jobs whose WakeAt has come, and returns the next WakeAt.
func (e *Engine) wakeDue(ctx context.Context) time.Time {
	for {
		now := time.Now()
		page, err := e.store.List(ctx, jobs.Filter{Due: now, Limit: maxBatchChanges})
		if err != nil {
			if ctx.Err() == nil {
				e.log.Error("looking for due jobs", "error", err)
			}
			return now.Add(time.Second)
		}
		var ops []*op
		for _, job := range page.Jobs {
			var c *jobs.Change
			if e.catchPanic("what is due of a job", job.ID, func() { c = dueChange(job, now) }) == nil && c != nil {
				o := newOp(c)
				if e.commits.put(ctx, o) == nil {
					ops = append(ops, o)
				}
			}
		}
		done := 0
		for _, o := range ops {
			err := o.wait()
			if ctx.Err() != nil {
				return time.Time{}
			}
			if errors.Is(err, jobs.ErrNoSpace) { // the engine is ending
				return now.Add(time.Second)
			}
			if !errors.Is(err, jobs.ErrDamaged) {
				done++
			}
			if err == nil && o.change.If.State == jobs.Running {
				e.signalRun(o.change.If.Lease, jobs.ErrRevoked)
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
