package engine_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/schedule"
)

// gate lets one caller act until it is shut.
type gate struct {
	caller string
	shut   atomic.Bool
}

func (g *gate) allowed(_, caller string) error {
	if caller == g.caller && g.shut.Load() {
		return jobs.NewProblem("forbidden", "Key no longer good", "The key of %s was revoked.", caller)
	}
	return nil
}

// A schedule whose caller is no longer allowed to submit stays, does not fire, and says why.
func TestScheduleOfACallerThatIsGone(t *testing.T) {
	inWorld(t, func(w *world) {
		g := &gate{caller: "key_a alice"}
		w.allowed = g.allowed
		w.open(nil, 0)
		w.schedule(schedule.Schedule{Name: "s", Cron: "0 * * * *", Caller: g.caller})
		w.schedule(schedule.Schedule{Name: "other", Cron: "0 * * * *", Caller: "key_b bob"})
		time.Sleep(time.Hour)
		synctest.Wait()
		w.expect("before", w.fired("s"), "01T01:00:00.000")
		g.shut.Store(true)
		time.Sleep(time.Hour)
		synctest.Wait()
		w.expect("after", w.fired("s"), "01T01:00:00.000")
		w.expect("another's", w.fired("other"), "01T01:00:00.000 01T02:00:00.000")
		s := w.current("s")
		w.expect("why", s.LastError.Detail, "The key of key_a alice was revoked.")
		w.expect("next", s.NextAt, time.Date(2000, 1, 1, 3, 0, 0, 0, time.UTC))
		if _, err := w.engine.Schedules.Run(context.Background(), jobs.DefaultTenant, "s"); err == nil {
			t.Error("it can be run by hand")
		}
		w.close(0) // and over a restart, also what was missed meanwhile
		time.Sleep(2 * time.Hour)
		w.open(nil, 0)
		defer w.close(0)
		synctest.Wait()
		w.expect("after a restart", w.fired("s"), "01T01:00:00.000")
		w.schedule(schedule.Schedule{Name: "s", Cron: "0 * * * *", Caller: "key_b bob"})
		time.Sleep(time.Hour)
		synctest.Wait()
		w.expect("saved by another", w.fired("s"), "01T01:00:00.000 01T05:00:00.000")
	})
}

// A bulk action stops where its caller may not act any more, also while it waits for room
// in a queue, and is not repeated.
func TestBulkOfACallerThatIsGone(t *testing.T) {
	for _, action := range []engine.Action{engine.CancelAll, engine.RetryAll} {
		t.Run(string(action), func(t *testing.T) {
			inWorld(t, func(w *world) {
				g := &gate{caller: "key_a alice"}
				w.allowed = g.allowed
				w.open(nil, 0)
				defer w.close(0)
				for range 700 { // two pages
					w.submit(jobs.Spec{Kind: "nobody"})
				}
				if action == engine.RetryAll {
					w.bulk(engine.Bulk{Action: engine.CancelAll})
					err := w.engine.Queues.Configure(context.Background(), jobs.DefaultTenant, "default", func(s *jobs.QueueSettings) error { s.Capacity = 20; return nil })
					if err != nil {
						t.Fatal(err)
					}
				} else {
					g.shut.Store(true)
				}
				spec, err := engine.Bulk{Action: action, Filter: jobs.Filter{Tenant: jobs.DefaultTenant}, Caller: g.caller}.Spec()
				if err != nil {
					t.Fatal(err)
				}
				id := w.submit(spec).ID
				time.Sleep(3 * time.Second) // a few times there is no room
				g.shut.Store(true)
				job := w.await(id)
				w.expect("the bulk job", words(job.State, job.Reason, job.Error.Detail), "failed rejected The key of key_a alice was revoked.")
				changed := map[engine.Action]jobs.Filter{engine.CancelAll: {States: []jobs.State{jobs.Cancelled}}, engine.RetryAll: {Kind: "nobody", States: []jobs.State{jobs.Queued}}}[action]
				if n := w.count(changed); n > 20 {
					t.Errorf("%d jobs were changed", n)
				}
			})
		})
	}
}

// Callbacks stay their caller's: who repeats another's job, with any input, has nothing
// signed with the secrets of the other.
func TestRetryByAnotherCallerTakesNoCallbacks(t *testing.T) {
	inWorld(t, func(w *world) {
		quick := jobs.Handler{Run: func(context.Context, jobs.Run) (jobs.Result, error) { return jobs.Result{}, nil }}
		w.open(handlers{"k": quick, jobs.KindWebhook: quick}, 4)
		defer w.close(0)
		list := callbacks(t, `[{"url":"https://a.example","secret":"`+secretA+`"}]`)
		for _, test := range []struct {
			by, again string
			input     jobs.Value
			want      int
		}{
			{"key_a alice", "key_a alice", nil, 1},
			{"key_a alice", "key_a renamed", jobs.Value(`1`), 1},
			{"key_a alice", "key_b alice", nil, 0},
			{"key_a alice", "key_b bob", jobs.Value(`1`), 0},
			{"key_a alice", "key_ab alice", nil, 0},
			{"key_a alice", "local", nil, 0},
			{"local", "key_a local", nil, 0},
			{"local", "local", jobs.Value(`1`), 1},
			{"", "", nil, 1},
		} {
			old := w.await(w.submit(jobs.Spec{Kind: "k", Caller: test.by, Callbacks: list}).ID)
			again, err := w.engine.Retry(context.Background(), jobs.DefaultTenant, old.ID, engine.RetryOptions{Caller: test.again, Input: test.input})
			if err != nil {
				t.Fatal(err)
			}
			w.await(again.Job.ID)
			w.expect("callbacks of a job by "+test.by+" repeated by "+test.again, words(len(again.Job.Callbacks), len(w.deliveriesOf(again.Job.ID))), words(test.want, test.want))
			if again.Job.Caller != test.again {
				t.Errorf("it is in the name of %s", again.Job.Caller)
			}
		}
		// In bulk as one by one.
		old := w.submit(jobs.Spec{Kind: "k", Queue: "bulk", Caller: "key_a alice", Callbacks: list})
		w.await(old.ID)
		w.bulk(engine.Bulk{Action: engine.RetryAll, Filter: jobs.Filter{Queue: "bulk", States: []jobs.State{jobs.Succeeded}}, Caller: "key_b bob"})
		page, err := w.store.List(context.Background(), jobs.Filter{Queue: "bulk", Limit: 1})
		if err != nil || page.Jobs[0].RetryOf != old.ID || len(page.Jobs[0].Callbacks) != 0 {
			t.Errorf("in bulk: %+v %v", page.Jobs, err)
		}
	})
}

// A delivery is repeated as it was, by whomever.
func TestDeliveriesAreRepeatedByOthers(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{"k": {Run: func(context.Context, jobs.Run) (jobs.Result, error) { return jobs.Result{}, nil }},
			jobs.KindWebhook: {Run: func(context.Context, jobs.Run) (jobs.Result, error) {
				return jobs.Result{}, &jobs.Failure{Problem: jobs.NewProblem("x", "X", "No."), Never: true}
			}}}, 4)
		defer w.close(0)
		j := w.await(w.submit(jobs.Spec{Kind: "k", Caller: "key_a alice", Callbacks: callbacks(t, `[{"url":"https://a.example","secret":"`+secretA+`"}]`)}).ID)
		delivery := w.await(w.deliveriesOf(j.ID)[0].ID)
		again, err := w.engine.Retry(context.Background(), jobs.DefaultTenant, delivery.ID, engine.RetryOptions{Caller: "key_b bob"})
		if err != nil || len(again.Job.Callbacks) != 1 || len(again.Job.Callbacks[0].Secrets) != 1 {
			t.Errorf("%+v %v", again.Job, err)
		}
	})
}
