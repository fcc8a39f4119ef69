package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
)

// follower reads all events from a hub, like a connection that is subscribed to all, and wakes
// the goroutines that wait for one.
type follower struct {
	cursor *hub.Cursor
	woken  chan struct{}
	stop   context.CancelFunc
	done   chan struct{}
	events int   // may be read after close
	err    error // may be read after close

	mu     sync.Mutex // protects tracks
	tracks map[jobs.ID]*track
}

// track follows one job.
type track struct {
	progress chan struct{} // has an element when the first progress is in the log
	ended    chan jobs.EventType
}

// follow starts a follower; head is the end of the log that the hub follows.
func follow(h *hub.Hub, head func() jobs.Position) *follower {
	ctx, stop := context.WithCancel(context.Background())
	f := &follower{woken: make(chan struct{}, 1), stop: stop, done: make(chan struct{}), tracks: map[jobs.ID]*track{}}
	f.cursor = h.Cursor(func() {
		select {
		case f.woken <- struct{}{}:
		default:
		}
	})
	f.cursor.Subscribe("all", hub.Subscription{Filter: hub.Filter{Tenant: jobs.DefaultTenant, All: true}, Progress: hub.ProgressAll})
	go func() {
		defer close(f.done)
		f.err = f.run(ctx, h, head)
	}()
	return f
}

// close ends the follower when it has read all of the log.
func (f *follower) close() {
	f.stop()
	<-f.done
	f.cursor.Close()
}

func (f *follower) run(ctx context.Context, h *hub.Hub, head func() jobs.Position) error {
	last := f.cursor.Seq()
	for ending := false; !ending; {
		select {
		case <-f.woken:
		case <-ctx.Done():
			ending = true
			if err := h.WaitFor(context.Background(), head().Seq); err != nil {
				return err
			}
		}
		for {
			lot, err := f.cursor.Next(context.Background())
			if err != nil {
				return err
			}
			if lot == nil {
				if !ending || f.cursor.SkipUnmatched() >= head().Seq {
					break
				}
				<-f.woken
				continue
			}
			for _, e := range lot.Events {
				if e.Seq != last+1 {
					return fmt.Errorf("the hub delivered event %d after %d", e.Seq, last)
				}
				last = e.Seq
				f.events++
				f.take(e.Event)
			}
		}
	}
	return nil
}

func (f *follower) take(e *jobs.Event) {
	switch e.Type {
	case jobs.JobProgress:
		select {
		case f.track(e.Job).progress <- struct{}{}:
		default:
		}
	case jobs.JobSucceeded, jobs.JobFailed, jobs.JobCancelled:
		select {
		case f.track(e.Job).ended <- e.Type:
		default: // an event that came twice; the check of the log finds it
		}
	}
}

// track returns the track of a job. The first call creates it, because the end of a job may be
// seen before its submission has returned.
func (f *follower) track(id jobs.ID) *track {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tracks[id]
	if t == nil {
		t = &track{make(chan struct{}, 1), make(chan jobs.EventType, 1)}
		f.tracks[id] = t
	}
	return t
}

func (f *follower) forget(id jobs.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.tracks, id)
}

// patience is how long anything may take before it counts as lost.
const patience = 30 * time.Second

// wait returns when the job has succeeded.
func (t *track) wait() error {
	select {
	case end := <-t.ended:
		if end != jobs.JobSucceeded {
			return fmt.Errorf("a job ended with %s", end)
		}
		return nil
	case <-time.After(patience):
		return fmt.Errorf("no event of a job's end came within %s", patience)
	}
}

// Percent of the work done.
var halfway, full = 50.0, 100.0

// handle does the work of a job: it reports progress twice.
func (f *follower) handle(ctx context.Context, run jobs.Run) (jobs.Result, error) {
	run.Report(jobs.Progress{Percent: &halfway, Message: "half of it"})
	select {
	case <-f.track(run.Job().ID).progress:
	case <-ctx.Done():
		return jobs.Result{}, context.Cause(ctx)
	case <-f.done:
		return jobs.Result{}, errors.New("nobody follows the log")
	}
	run.Report(jobs.Progress{Percent: &full, Message: "all of it"})
	return jobs.Result{Value: jobs.Value(`{"ok":true}`)}, nil
}
