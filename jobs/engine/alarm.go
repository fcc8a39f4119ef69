package engine

import (
	"context"
	"time"
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

// earlierTime is the earlier of two times; the zero time is never.
func earlierTime(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
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
