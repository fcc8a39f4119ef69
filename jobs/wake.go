package jobs

import (
	"context"
	"time"
)

// wakeLoop looks at every job when its WakeAt has come: the one timer of the engine.
func (e *Engine) wakeLoop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	next := time.Now() // when the timer fires; zero if it does not
	for {
		select {
		case <-ctx.Done():
			return
		case at := <-e.rewake:
			if next.IsZero() || at.Before(next) {
				next = at
				timer.Reset(time.Until(next))
			}
			continue
		case <-timer.C:
		}
		next = e.wakeDue(ctx)
		if !next.IsZero() {
			timer.Reset(max(time.Until(next), 0))
		}
	}
}

// wakeDue decides about all jobs that are due and returns when the next one is.
func (e *Engine) wakeDue(ctx context.Context) time.Time {
	for {
		now := time.Now()
		jobs, next, err := e.store.Due(ctx, now, maxBatchChanges)
		if err != nil {
			if ctx.Err() == nil {
				e.log.Error("looking for due jobs", "error", err)
			}
			return now.Add(time.Second)
		}
		var ops []*op
		for _, job := range jobs {
			if c, ok := due(job, now); ok {
				o := newOp(c)
				if e.commits.put(ctx, o) == nil {
					ops = append(ops, o)
				}
			}
		}
		for _, o := range ops {
			select {
			case err := <-o.done:
				if err == nil && o.change.If.State == Running {
					e.tell(o.change.If.Lease, errRevoked)
				}
			case <-ctx.Done():
				return time.Time{}
			}
		}
		if len(jobs) == 0 {
			return next
		}
		if len(ops) == 0 { // nothing could be done about them: do not spin
			return now.Add(time.Second)
		}
	}
}

// wakeBy makes the waker look no later than at.
func (e *Engine) wakeBy(at time.Time) {
	for {
		select {
		case e.rewake <- at:
			return
		case earlier := <-e.rewake:
			if earlier.Before(at) {
				at = earlier
			}
		}
	}
}
