package engine_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/schedule"
)

// TestScheduleRunNow: running a schedule by hand makes the job that its tick would, moves
// no tick, and works while it is paused.
func TestScheduleRunNow(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		defer w.close(0)
		ctx := w.Context()
		before := w.schedule(schedule.Schedule{Name: "s", Cron: "0 * * * *", Job: jobs.Value(`{"kind":"nobody","tags":["a"],"input":{"n":1.10}}`), Caller: "operator me"})
		time.Sleep(time.Minute)
		made, err := w.engine.Schedules.Run(ctx, jobs.DefaultTenant, "s")
		if err != nil {
			t.Fatal(err)
		}
		job := w.get(made.ID)
		w.expect("job", words(job.Kind, job.Tags, string(job.Input), job.Caller, job.State), `nobody [a schedule:s] {"n":1.10} operator me queued`)
		now := w.current("s")
		if now.LastJob != made.ID || !now.LastAt.Equal(time.Now().Truncate(time.Millisecond)) || !now.NextAt.Equal(before.NextAt) {
			w.Errorf("the schedule is %+v", now)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if page, err := w.store.List(ctx, jobs.Filter{Tag: schedule.Tag("s")}); err != nil || len(page.Jobs) != 2 {
			w.Errorf("with the tick there are %d jobs, %v", len(page.Jobs), err)
		}
		if _, err := w.engine.Schedules.Change(ctx, jobs.DefaultTenant, "s", func(s *schedule.Schedule) { s.Paused = true }); err != nil {
			t.Fatal(err)
		}
		if _, err := w.engine.Schedules.Run(ctx, jobs.DefaultTenant, "s"); err != nil {
			t.Fatal(err)
		}
		if now := w.current("s"); !now.Paused || !now.NextAt.IsZero() {
			w.Errorf("running it has resumed it: %+v", now)
		}
		must(t, w.engine.Queues.Configure(ctx, jobs.DefaultTenant, "default", func(q *jobs.QueueSettings) error { q.Capacity = 1; return nil }))
		if _, err := w.engine.Schedules.Run(ctx, jobs.DefaultTenant, "s"); !errors.Is(err, jobs.ErrQueueFull) {
			w.Errorf("with a full queue: %v", err)
		}
		for _, tenant := range []string{jobs.DefaultTenant, "other"} {
			if _, err := w.engine.Schedules.Run(ctx, tenant, map[bool]string{true: "s", false: "t"}[tenant == "other"]); !errors.Is(err, jobs.ErrNotFound) {
				w.Errorf("one that is not there, of %s: %v", tenant, err)
			}
		}
	})
}

// TestScheduleEdits: making refuses a name in use, changing one that is not there, and what
// is not changed stays.
func TestScheduleEdits(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		defer w.close(0)
		ctx, good := w.Context(), schedule.Schedule{Name: "s", Cron: "@hourly", Job: jobs.Value(`{"kind":"nobody"}`), Caller: "operator a"}
		if _, err := w.engine.Schedules.Create(ctx, jobs.DefaultTenant, good); err != nil {
			t.Fatal(err)
		}
		again := good
		again.Cron = "@daily"
		if p, ok := errors.AsType[*jobs.Problem](func() error { _, err := w.engine.Schedules.Create(ctx, jobs.DefaultTenant, again); return err }()); !ok || p.Code != jobs.Conflict {
			w.Errorf("making it twice: %v", p)
		}
		edit := func(name, cron string) error {
			_, err := w.engine.Schedules.Change(ctx, jobs.DefaultTenant, name, func(s *schedule.Schedule) { s.Cron, s.TimeZone = cron, "Europe/Berlin" })
			return err
		}
		if err := edit("t", "@daily"); !errors.Is(err, jobs.ErrNotFound) {
			w.Errorf("changing nothing: %v", err)
		}
		if err := edit("s", "nonsense"); err == nil || w.current("s").Cron != "@hourly" {
			w.Errorf("nonsense is taken: %v", err)
		}
		must(t, edit("s", "30 3 * * *"))
		now := w.current("s")
		w.expect("changed", words(now.Cron, now.TimeZone, now.Caller, string(now.Job), now.NextAt.Format(time.RFC3339)), `30 3 * * * Europe/Berlin operator a {"kind":"nobody"} 2000-01-01T02:30:00Z`)
		ticks := now.Ticks(time.Now(), 2)
		w.expect("ticks", words(len(ticks), ticks[1].Format(time.RFC3339)), "2 2000-01-02T03:30:00+01:00")
	})
}

// TestScheduleShown: whatever way its member is written, no secret of a template is shown,
// and all else is as it was written.
func TestScheduleShown(t *testing.T) {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	for _, name := range []string{"callbacks", `callb\u0061cks`} {
		s := schedule.Schedule{Job: jobs.Value(`{"kind":"k","` + name + `":[{"url":"https://a.example","secret":"` + secret + `"}],"input":{"n":1.10}}`)}
		got := string(s.Shown())
		if want := `{"kind":"k","callbacks":[{"url":"https://a.example","secret":"whsec_***"}],"input":{"n":1.10}}`; got != want || strings.Contains(got, secret) {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestCallbackEnabled: somebody says that a receiver is back.
func TestCallbackEnabled(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{jobs.KindWebhook: {Run: nil}}, 0)
		defer w.close(0)
		ctx := w.Context()
		must(t, w.engine.Queues.Configure(ctx, jobs.DefaultTenant, "q", func(s *jobs.QueueSettings) error {
			s.Callbacks = []jobs.Callback{{URL: "https://a.example", Disabled: true, DisabledAt: time.Now()}}
			return nil
		}))
		must(t, w.engine.Queues.SetCallbacks(ctx, jobs.DefaultTenant, "q", callbacks(t, `[{"url":"https://a.example"},{"url":"https://b.example"}]`)))
		if c := w.engine.Queues.Settings(jobs.DefaultTenant, "q").Callbacks; !c[0].Disabled || c[0].DisabledAt.IsZero() || c[1].Disabled {
			w.Errorf("written anew they are %+v", c)
		}
		if err := w.engine.Queues.EnableCallback(ctx, jobs.DefaultTenant, "q", "https://c.example"); !errors.Is(err, jobs.ErrNotFound) {
			w.Errorf("an unknown one: %v", err)
		}
		must(t, w.engine.Queues.EnableCallback(ctx, jobs.DefaultTenant, "q", "https://a.example"))
		if c := w.engine.Queues.Settings(jobs.DefaultTenant, "q").Callbacks[0]; c.Disabled || !c.DisabledAt.IsZero() {
			w.Errorf("enabled it is %+v", c)
		}
	})
}
