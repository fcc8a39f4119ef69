package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/schedule"
)

// In a bubble it is midnight of 1 January 2000, UTC, a Saturday.

func (w *world) schedule(s schedule.Schedule) schedule.Schedule {
	w.Helper()
	if s.Job == nil {
		s.Job = jobs.Value(`{"kind":"nobody"}`)
	}
	s, _, err := w.engine.Schedules.Put(context.Background(), jobs.DefaultTenant, s)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// fired is when the jobs of a schedule were accepted, oldest first.
func (w *world) fired(name string) string {
	w.Helper()
	page, err := w.store.List(context.Background(), jobs.Filter{Tag: schedule.Tag(name), Limit: 1000})
	if err != nil {
		w.Fatal(err)
	}
	var times []string
	for _, j := range page.Jobs {
		times = append([]string{j.CreatedAt.UTC().Format("02T15:04:05.000")}, times...)
	}
	return strings.Join(times, " ")
}

func (w *world) current(name string) schedule.Schedule {
	w.Helper()
	s, err := w.engine.Schedules.Get(context.Background(), jobs.DefaultTenant, name)
	if err != nil {
		w.Fatal(err)
	}
	return s
}

func TestScheduleFiresOncePerTick(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		defer w.close(0)
		s := w.schedule(schedule.Schedule{Name: "s", Cron: "*/20 * * * *", Job: jobs.Value(`{ "kind":"nobody", "tags":["a"], "input":{"n":1.10} }`), Caller: "me"})
		w.expect("next", s.NextAt, time.Date(2000, 1, 1, 0, 20, 0, 0, time.UTC))
		time.Sleep(20*time.Minute - time.Millisecond)
		synctest.Wait()
		w.expect("before the tick", w.fired("s"), "")
		time.Sleep(time.Millisecond)
		synctest.Wait()
		w.expect("at the tick", w.fired("s"), "01T00:20:00.000")
		time.Sleep(41 * time.Minute)
		synctest.Wait()
		w.expect("later", w.fired("s"), "01T00:20:00.000 01T00:40:00.000 01T01:00:00.000")
		s = w.current("s")
		job := w.get(s.LastJob)
		w.expect("the schedule", words(s.LastAt, s.NextAt, s.LastError), words(time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC), time.Date(2000, 1, 1, 1, 20, 0, 0, time.UTC), s.LastError))
		w.expect("its job", words(job.Kind, job.Tags, string(job.Input), job.Caller), `nobody [a schedule:s] {"n":1.10} me`)
	})
}

// TestScheduleTicksThatWereMissed: while the hub is down, ticks merge into one, and a
// restart right after a tick does not repeat it.
func TestScheduleTicksThatWereMissed(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		w.schedule(schedule.Schedule{Name: "s", Cron: "0 * * * *"})
		time.Sleep(time.Hour)
		synctest.Wait()
		w.close(0)
		w.open(nil, 0)
		synctest.Wait()
		w.expect("after a restart at the tick", w.fired("s"), "01T01:00:00.000")
		w.close(0)
		time.Sleep(5*time.Hour + time.Minute)
		w.open(nil, 0)
		synctest.Wait()
		w.expect("after six hours", w.fired("s"), "01T01:00:00.000 01T06:01:00.000")
		time.Sleep(time.Hour)
		synctest.Wait()
		w.expect("after that", w.fired("s"), "01T01:00:00.000 01T06:01:00.000 01T07:00:00.000")
		w.close(0)
	})
}

// TestScheduleOfTwoEngines: two engines that look at the same moment make one job.
func TestScheduleOfTwoEngines(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		w.schedule(schedule.Schedule{Name: "s", Cron: "* * * * *"})
		shared := &oneAtATime{Store: w.store, held: make(chan struct{}, 1)}
		for range 3 {
			other, err := engine.Open(context.Background(), engine.Options{Store: shared})
			if err != nil {
				w.Fatal(err)
			}
			defer other.Close(context.Background())
		}
		if err := w.engine.Close(context.Background()); err != nil { // it does not share
			w.Fatal(err)
		}
		time.Sleep(10*time.Minute + time.Second)
		synctest.Wait()
		if got := strings.Fields(w.fired("s")); len(got) != 10 {
			w.Errorf("ten ticks made %d jobs: %v", len(got), got)
		}
	})
}

// oneAtATime lets engines share a store whose commits must not overlap.
type oneAtATime struct {
	jobs.Store
	held chan struct{}
}

func (s *oneAtATime) Commit(ctx context.Context, b *jobs.Batch) error {
	s.held <- struct{}{}
	defer func() { <-s.held }()
	return s.Store.Commit(ctx, b)
}

func TestSchedulePausedChangedDeleted(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		defer w.close(0)
		w.schedule(schedule.Schedule{Name: "s", Cron: "0 * * * *"})
		time.Sleep(90 * time.Minute)
		s := w.schedule(schedule.Schedule{Name: "s", Cron: "0 * * * *", Paused: true})
		if !s.NextAt.IsZero() || s.LastAt.IsZero() {
			w.Errorf("paused: %+v", s)
		}
		time.Sleep(5 * time.Hour)
		w.schedule(schedule.Schedule{Name: "s", Cron: "0 * * * *"}) // what it slept through is gone
		synctest.Wait()
		w.expect("after a pause", w.fired("s"), "01T01:00:00.000")
		time.Sleep(time.Hour)
		w.schedule(schedule.Schedule{Name: "s", Cron: "15 * * * *"})
		time.Sleep(time.Hour)
		synctest.Wait()
		w.expect("with another cron", w.fired("s"), "01T01:00:00.000 01T07:00:00.000 01T08:15:00.000")
		if err := w.engine.Schedules.Delete(w.Context(), jobs.DefaultTenant, "s"); err != nil {
			w.Fatal(err)
		}
		if err := w.engine.Schedules.Delete(w.Context(), jobs.DefaultTenant, "s"); !errors.Is(err, jobs.ErrNotFound) {
			w.Errorf("deleted twice: %v", err)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		w.expect("deleted", w.fired("s"), "01T01:00:00.000 01T07:00:00.000 01T08:15:00.000")
		if list, err := w.engine.Schedules.List(w.Context(), jobs.DefaultTenant); err != nil || len(list) > 0 {
			w.Errorf("left: %v %v", list, err)
		}
	})
}

// TestScheduleWrittenAgainAtItsTick: replacing a schedule by an equal one does not lose a due tick.
func TestScheduleWrittenAgainAtItsTick(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		s := w.schedule(schedule.Schedule{Name: "s", Cron: "0 * * * *"})
		w.close(0)
		time.Sleep(time.Hour + time.Minute)
		w.open(nil, 0)
		defer w.close(0)
		again := w.schedule(schedule.Schedule{Name: "s", Cron: "0 * * * *", Job: jobs.Value(`{"kind":"other"}`)})
		synctest.Wait()
		if got := strings.Fields(w.fired("s")); len(got) != 1 {
			w.Errorf("next was %v and then %v; fired %v", s.NextAt, again.NextAt, got)
		}
	})
}

func TestScheduleWhoseQueueIsFull(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		defer w.close(0)
		if err := w.engine.Queues.Configure(w.Context(), jobs.DefaultTenant, "small", func(s *jobs.QueueSettings) error { s.Capacity = 1; return nil }); err != nil {
			w.Fatal(err)
		}
		w.schedule(schedule.Schedule{Name: "s", Cron: "0 * * * *", Job: jobs.Value(`{"kind":"nobody","queue":"small"}`)})
		w.schedule(schedule.Schedule{Name: "other", Cron: "0 * * * *"})
		time.Sleep(3*time.Hour + time.Minute)
		synctest.Wait()
		w.expect("one fits", w.fired("s"), "01T01:00:00.000")
		w.expect("another schedule", w.fired("other"), "01T01:00:00.000 01T02:00:00.000 01T03:00:00.000")
		s := w.current("s")
		if s.LastError == nil || s.LastError.Code != jobs.QueueFull || s.LastAt.Hour() != 1 || s.NextAt.Hour() != 4 {
			w.Errorf("skipped: %+v", s)
		}
		if _, _, err := w.engine.Cancel(w.Context(), jobs.DefaultTenant, s.LastJob); err != nil {
			w.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		w.expect("with room", w.fired("s"), "01T01:00:00.000 01T04:00:00.000")
		if s := w.current("s"); s.LastError != nil {
			w.Errorf("after that: %+v", s)
		}
	})
}

// TestScheduleInATimeZone: the clocks of Berlin go forward on 26 March 2000 and back on
// 29 October.
func TestScheduleInATimeZone(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		defer func() { w.close(0) }()
		until := func(month time.Month, day int) { // the engine need not look at every minute of the year
			w.close(0)
			time.Sleep(time.Until(time.Date(2000, month, day, 0, 0, 0, 0, time.UTC)))
			w.open(nil, 0)
		}
		until(time.March, 26)
		w.schedule(schedule.Schedule{Name: "s", Cron: "30 2 25-27 3 *", TimeZone: "Europe/Berlin"})
		time.Sleep(25 * time.Hour)
		until(time.October, 29)
		w.schedule(schedule.Schedule{Name: "t", Cron: "30 2 28-30 10 *", TimeZone: "Europe/Berlin"})
		time.Sleep(26 * time.Hour)
		synctest.Wait()
		w.expect("forward", w.fired("s"), "26T01:00:00.000 27T00:30:00.000")
		w.expect("back", w.fired("t"), "29T00:30:00.000 30T01:30:00.000")
	})
}

func TestSchedulesThatAreRefused(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{"picky": {Check: func(jobs.Value, jobs.Via) error { return jobs.NewProblem(jobs.BlockedAddress, "No", "Never.") }, Run: nil}}, 0)
		defer w.close(0)
		good := jobs.Value(`{"kind":"k"}`)
		tags := `"` + strings.Join(strings.Split(strings.Repeat("t", 32), ""), `","`) + `"`
		for i, c := range []struct {
			schedule.Schedule
			pointer string
			code    jobs.Code
		}{
			{schedule.Schedule{Name: "S", Cron: "@daily", Job: good}, "", jobs.NotFound},
			{schedule.Schedule{Name: "", Cron: "@daily", Job: good}, "", jobs.NotFound},
			{schedule.Schedule{Name: "s", Cron: "", Job: good}, "/cron", jobs.BadMessage},
			{schedule.Schedule{Name: "s", Cron: "0 0 29 2 */7", Job: jobs.Value(`{"kind":"UPPER"}`)}, "/job/kind", jobs.BadMessage},
			{schedule.Schedule{Name: "s", Cron: "soon", TimeZone: "Mars/Base", Job: jobs.Value(`{"kind":"UPPER"}`)}, "/cron /time_zone /job/kind", jobs.BadMessage},
			{schedule.Schedule{Name: "s", Cron: "@daily", TimeZone: "Mars/Base", Job: good}, "/time_zone", jobs.BadMessage},
			{schedule.Schedule{Name: "s", Cron: "@daily", TimeZone: "Local", Job: good}, "/time_zone", jobs.BadMessage},
			{schedule.Schedule{Name: "s", Cron: "@daily", TimeZone: "../etc/passwd", Job: good}, "/time_zone", jobs.BadMessage},
			{schedule.Schedule{Name: "s", Cron: "@daily"}, "/job", jobs.BadMessage},
			{schedule.Schedule{Name: "s", Cron: "@daily", Job: jobs.Value(`{"kind":"k","other":1}`)}, "/job/other", jobs.BadMessage},
			{schedule.Schedule{Name: "s", Cron: "@daily", Job: jobs.Value(`{"kind":"k","run_at":"2030-01-01T00:00:00Z"}`)}, "/job/run_at", jobs.BadMessage},
			{schedule.Schedule{Name: "s", Cron: "@daily", Job: jobs.Value(`{"kind":"k","tags":[` + tags + `]}`)}, "/job/tags", jobs.BadMessage},
			{schedule.Schedule{Name: "s", Cron: "@daily", Job: jobs.Value(`{"kind":"k","input":"` + strings.Repeat("x", 64<<10) + `"}`)}, "/job", jobs.BadMessage},
			{schedule.Schedule{Name: "s", Cron: "@daily", Job: jobs.Value(`{"kind":"picky"}`)}, "", jobs.BlockedAddress},
			{schedule.Schedule{Name: "s", Cron: "@daily", Job: jobs.Value(`{"kind":"bulk"}`)}, "/job/kind", jobs.Unsupported},
		} {
			_, _, err := w.engine.Schedules.Put(w.Context(), jobs.DefaultTenant, c.Schedule)
			p, ok := errors.AsType[*jobs.Problem](err)
			var at []string
			for _, e := range p.Errors {
				at = append(at, e.Pointer)
			}
			if !ok || p.Code != c.code || c.pointer != "" && strings.Join(at, " ") != c.pointer {
				w.Errorf("case %d: %v, want %s at %s", i, err, c.code, c.pointer)
			}
		}
		if list, err := w.engine.Schedules.List(w.Context(), ""); err != nil || len(list) > 0 || w.store.Head().Seq > 0 {
			w.Errorf("stored: %v %v", list, err)
		}
	})
}

// TestSchedulesOfTenants are apart from each other.
func TestSchedulesOfTenants(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		defer w.close(0)
		for _, tenant := range []string{"a", "b"} {
			if _, made, err := w.engine.Schedules.Put(w.Context(), tenant, schedule.Schedule{Name: "s", Cron: "@hourly", Job: jobs.Value(`{"kind":"nobody"}`)}); err != nil || !made {
				w.Fatal(made, err)
			}
		}
		if err := w.engine.Schedules.Delete(w.Context(), "a", "s"); err != nil {
			w.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		page, err := w.store.List(w.Context(), jobs.Filter{})
		if err != nil || len(page.Jobs) != 1 || page.Jobs[0].Tenant != "b" {
			w.Errorf("jobs: %v %v", page.Jobs, err)
		}
		if _, err := w.engine.Schedules.Get(w.Context(), "a", "s"); !errors.Is(err, jobs.ErrNotFound) {
			w.Errorf("another tenant's: %v", err)
		}
	})
}

func TestTooManySchedules(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		defer w.close(0)
		var all sync.WaitGroup
		for i := range 1000 {
			all.Go(func() {
				if _, _, err := w.engine.Schedules.Put(w.Context(), jobs.DefaultTenant, schedule.Schedule{Name: fmt.Sprint("s", i), Cron: "@daily", Job: jobs.Value(`{"kind":"k"}`)}); err != nil {
					w.Error(err)
				}
			})
		}
		all.Wait()
		_, _, err := w.engine.Schedules.Put(w.Context(), jobs.DefaultTenant, schedule.Schedule{Name: "more", Cron: "@daily", Job: jobs.Value(`{"kind":"k"}`)})
		if !errors.Is(err, jobs.ErrConflict) {
			w.Errorf("one more: %v", err)
		}
		w.schedule(schedule.Schedule{Name: "s7", Cron: "@hourly"})
	})
}

// TestManySchedulesAtOnce: what is due at the same moment is one commit.
func TestManySchedulesAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		defer w.close(0)
		for i := range 50 {
			w.schedule(schedule.Schedule{Name: fmt.Sprint("s", i), Cron: "0 0 * * *"})
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		page, err := w.store.List(w.Context(), jobs.Filter{Limit: 100})
		if err != nil || len(page.Jobs) != 50 {
			w.Fatalf("%d jobs, %v", len(page.Jobs), err)
		}
		for _, j := range page.Jobs {
			if !j.CreatedAt.Equal(page.Jobs[0].CreatedAt) {
				w.Errorf("one at %v, one at %v", j.CreatedAt, page.Jobs[0].CreatedAt)
			}
		}
	})
}
