package engine_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/schedule"
)

// TestScheduleOfAFormerVersion: a schedule stored when the fair key of its job was called
// key is shown with the name of today, fires, can be changed, and fires again.
func TestScheduleOfAFormerVersion(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		if err := w.store.Commit(context.Background(), &jobs.Batch{Now: time.Now(), Documents: []*jobs.DocumentChange{{Document: jobs.Document{
			Tenant: jobs.DefaultTenant, Kind: "schedule", Name: "s",
			Data: jobs.Value(`{"cron":"*/20 * * * *","time_zone":"UTC","job":{"kind":"nobody","\u006bey":"customer","input":{"key":"inner"},"ordering_key":"key"},"paused":false,"caller":"me","next_at":"2000-01-01T00:20:00Z"}`),
		}}}}); err != nil {
			t.Fatal(err)
		}
		w.close(0)
		w.open(nil, 0)
		defer w.close(0)
		s := w.current("s")
		w.expect("what is shown", string(s.Shown()), `{"kind":"nobody","fair_key":"customer","input":{"key":"inner"},"ordering_key":"key"}`)
		fires := func(at string) {
			t.Helper()
			time.Sleep(20 * time.Minute)
			synctest.Wait()
			w.expect("fired", w.fired("s"), at)
			job := w.get(w.current("s").LastJob)
			w.expect("its job", words(job.FairKey, string(job.Input), job.OrderingKey), `customer {"key":"inner"} key`)
		}
		fires("01T00:20:00.000")
		if _, err := w.engine.Schedules.Change(context.Background(), jobs.DefaultTenant, "s", func(s *schedule.Schedule) { s.Overlap = "queue" }); err != nil {
			t.Fatal(err)
		}
		fires("01T00:20:00.000 01T00:40:00.000")

		_, _, err := w.engine.Schedules.Put(context.Background(), jobs.DefaultTenant, schedule.Schedule{Name: "t", Cron: "* * * * *", Job: jobs.Value(`{"kind":"nobody","key":"customer"}`)})
		if err == nil {
			t.Error("a new schedule may still say key")
		}
	})
}
