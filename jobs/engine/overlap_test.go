package engine_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/schedule"
)

// door is a handler whose runs end when the test ends them, or when they are cancelled.
type door struct {
	mu      sync.Mutex
	running int
	most    int
	open    chan struct{}
}

func (g *door) Run(ctx context.Context, _ jobs.Run) (jobs.Result, error) {
	g.mu.Lock()
	g.running++
	g.most = max(g.most, g.running)
	open := g.open
	g.mu.Unlock()
	defer func() { g.mu.Lock(); g.running--; g.mu.Unlock() }()
	select {
	case <-open:
		return jobs.Result{}, nil
	case <-ctx.Done():
		return jobs.Result{}, context.Cause(ctx)
	}
}

func (w *world) states(name string) string {
	w.Helper()
	page, err := w.store.List(context.Background(), jobs.Filter{Tag: schedule.Tag(name), Limit: 1000})
	if err != nil {
		w.Fatal(err)
	}
	text := ""
	for i := range page.Jobs {
		text = page.Jobs[i].State.String()[:3] + " " + text
	}
	return text
}

// TestOverlap: a schedule that ticks each minute, and a run that takes three and a half.
func TestOverlap(t *testing.T) {
	for overlap, want := range map[string]struct {
		states string
		most   int
	}{
		"":        {"run run run ", 3},
		"allow":   {"run run run ", 3},
		"skip":    {"run ", 1},
		"queue":   {"run que que ", 1},
		"replace": {"can can run ", 1},
	} {
		t.Run(overlap, func(t *testing.T) {
			inWorld(t, func(w *world) {
				g := &door{open: make(chan struct{})}
				w.open(handlers{"k": {Run: g.Run}}, 8)
				defer func() { w.close(0) }()
				w.schedule(schedule.Schedule{Name: "s", Cron: "* * * * *", Overlap: overlap, Job: jobs.Value(`{"kind":"k"}`)})
				time.Sleep(3*time.Minute + 30*time.Second)
				synctest.Wait()
				w.expect("runs", w.states("s"), want.states)
				w.expect("at the same time", g.most, want.most)
				if s := w.current("s"); (overlap == "skip") != !s.SkippedAt.IsZero() || s.LastError != nil || time.Until(s.NextAt) != 30*time.Second {
					t.Errorf("%+v", s)
				}
				close(g.open)
				synctest.Wait()
				time.Sleep(time.Minute)
				synctest.Wait()
				w.expect("running after the next tick", g.running, 0)
				if got := w.states("s"); got[len(got)-4:] != "suc " {
					t.Errorf("after the end of all: %s", got)
				}
			})
		})
	}
}

// TestOverlapOverARestart: what is unfinished is known after a crash; a retry of a run is a
// run, too.
func TestOverlapOverARestart(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		defer func() { w.close(0) }()
		w.schedule(schedule.Schedule{Name: "s", Cron: "* * * * *", Overlap: "skip"})
		time.Sleep(time.Minute)
		synctest.Wait()
		first := w.current("s").LastJob
		w.close(0)
		time.Sleep(10 * time.Minute)
		w.open(nil, 0)
		synctest.Wait()
		w.expect("after a restart", w.states("s"), "que ")
		if _, err := w.engine.Schedules.Run(context.Background(), jobs.DefaultTenant, "s"); !conflict(err) {
			t.Errorf("run by hand: %v", err)
		}
		if _, _, err := w.engine.Cancel(context.Background(), jobs.DefaultTenant, first); err != nil {
			t.Fatal(err)
		}
		w.retry(first, engine.RetryOptions{})
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		w.expect("with its retry", w.states("s"), "can que ")
	})
}

// TestOverlapOfTwoEngines: of several engines none starts a run beside another.
func TestOverlapOfTwoEngines(t *testing.T) {
	for _, overlap := range []string{"skip", "replace", "queue"} {
		t.Run(overlap, func(t *testing.T) {
			inWorld(t, func(w *world) {
				w.open(nil, 0)
				w.schedule(schedule.Schedule{Name: "s", Cron: "* * * * *", Overlap: overlap})
				shared := &oneAtATime{Store: w.store, held: make(chan struct{}, 1)}
				for range 3 {
					other, err := engine.Open(context.Background(), engine.Options{Store: shared})
					if err != nil {
						t.Fatal(err)
					}
					defer other.Close(context.Background())
				}
				if err := w.engine.Close(context.Background()); err != nil { // it does not share
					t.Fatal(err)
				}
				time.Sleep(5*time.Minute + time.Second)
				synctest.Wait()
				w.expect("jobs", w.states("s"), map[string]string{"skip": "que ", "replace": "can can can can que ", "queue": "que que que que que "}[overlap])
			})
		})
	}
}

// TestOverlapOfAChangedSchedule: runs of what the schedule was are earlier runs, too.
func TestOverlapOfAChangedSchedule(t *testing.T) {
	for _, overlap := range []string{"queue", "replace"} {
		t.Run(overlap, func(t *testing.T) {
			inWorld(t, func(w *world) {
				g := &door{open: make(chan struct{})}
				w.open(handlers{"k": {Run: g.Run}}, 8)
				defer w.close(0)
				w.schedule(schedule.Schedule{Name: "s", Cron: "* * * * *", Job: jobs.Value(`{"kind":"k"}`)})
				time.Sleep(time.Minute)
				synctest.Wait()
				w.schedule(schedule.Schedule{Name: "s", Cron: "* * * * *", Job: jobs.Value(`{"kind":"k","queue":"other"}`), Overlap: overlap})
				time.Sleep(90 * time.Second)
				synctest.Wait()
				w.expect("runs", w.states("s"), map[string]string{"queue": "run ", "replace": "can run "}[overlap])
				close(g.open)
				time.Sleep(2 * time.Second)
				synctest.Wait()
				w.expect("after its end", w.states("s"), map[string]string{"queue": "suc suc ", "replace": "can suc "}[overlap])
				w.expect("at the same time", g.most, 1)
			})
		})
	}
}

// TestUniqueJobOfASchedule: a tick whose job is there already makes none, and says so.
func TestUniqueJobOfASchedule(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		defer w.close(0)
		w.schedule(schedule.Schedule{Name: "s", Cron: "* * * * *", Job: jobs.Value(`{"kind":"nobody","unique":{}}`)})
		w.schedule(schedule.Schedule{Name: "r", Cron: "* * * * *", Job: jobs.Value(`{"kind":"other","unique":{"conflict":"refuse"}}`)})
		time.Sleep(3*time.Minute + time.Second)
		synctest.Wait()
		for _, name := range []string{"s", "r"} {
			s := w.current(name)
			w.expect("jobs of "+name, w.states(name), "que ")
			if s.LastError == nil || s.LastError.Code != jobs.Conflict || time.Until(s.NextAt) != 59*time.Second {
				t.Errorf("%+v", s)
			}
			if _, err := w.engine.Schedules.Run(context.Background(), jobs.DefaultTenant, name); !conflict(err) {
				t.Errorf("run by hand: %v", err)
			}
		}
	})
}
