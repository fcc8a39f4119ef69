package engine_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
)

func (w *world) bulk(b engine.Bulk) jobs.Job {
	w.Helper()
	b.Filter.Tenant = jobs.DefaultTenant
	count, err := w.engine.Count(context.Background(), b)
	if err != nil {
		w.Fatal(err)
	}
	spec, err := b.Spec()
	if err != nil {
		w.Fatal(err)
	}
	job := w.await(w.submit(spec).ID)
	var result struct{ Count, Done, Skipped int64 }
	if err := json.Unmarshal(job.Result, &result); err != nil || job.State != jobs.Succeeded {
		w.Fatalf("bulk: %s %s %v", job.State, job.Result, job.Error)
	}
	w.expect("what a dry run counts, and what it came across", result.Count, count)
	w.expect("done and skipped", result.Done+result.Skipped, result.Count)
	return job
}

func (w *world) count(f jobs.Filter) int {
	w.Helper()
	f.Limit = 10_000
	page, err := w.store.List(context.Background(), f)
	if err != nil {
		w.Fatal(err)
	}
	return len(page.Jobs)
}

func TestBulkCancel(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{"quick": {Run: func(context.Context, jobs.Run) (jobs.Result, error) { return jobs.Result{}, nil }}}, 4)
		defer w.close(time.Second)
		for i := range 1200 {
			s := jobs.Spec{Kind: "nobody", Queue: fmt.Sprint("q", i%3), Tags: []string{fmt.Sprint("t", i%2)}, Input: jobs.Value(fmt.Sprintf(`"needle %d"`, i%4))}
			if i%5 == 0 {
				s.Delay = time.Hour
			}
			w.submit(s)
		}
		done := w.submit(jobs.Spec{Kind: "quick"})
		w.await(done.ID)
		job := w.bulk(engine.Bulk{Action: engine.CancelAll, Filter: jobs.Filter{Queue: "q1", Tag: "t0", Text: "NEEDLE 2"}})
		w.expect("cancelled of q1, t0 and needle 2", w.count(jobs.Filter{States: []jobs.State{jobs.Cancelled}}), 100)
		w.expect("all of them", w.count(jobs.Filter{States: []jobs.State{jobs.Cancelled}, Queue: "q1", Tag: "t0", Text: "needle 2"}), 100)
		w.expect("its progress", words(*job.Progress.Percent, job.Progress.Message, string(job.Progress.Data)), `100 100 of 100 {"done":100,"total":100}`)
		w.bulk(engine.Bulk{Action: engine.CancelAll, Filter: jobs.Filter{States: []jobs.State{jobs.Scheduled, jobs.Succeeded}}})
		w.expect("scheduled", w.count(jobs.Filter{States: []jobs.State{jobs.Scheduled}}), 0)
		w.bulk(engine.Bulk{Action: engine.CancelAll})
		w.expect("cancelled in the end", w.count(jobs.Filter{States: []jobs.State{jobs.Cancelled}}), 1200)
		w.expect("succeeded", w.count(jobs.Filter{States: []jobs.State{jobs.Succeeded}}), 1+3)
		w.bulk(engine.Bulk{Action: engine.CancelAll})
	})
}

func TestBulkRetry(t *testing.T) {
	inWorld(t, func(w *world) {
		broken := true
		w.open(handlers{"k": {Run: func(_ context.Context, run jobs.Run) (jobs.Result, error) {
			if broken && run.Job().Priority == 1 {
				return jobs.Result{}, &jobs.Failure{Problem: jobs.NewProblem("x", "X", ""), Never: true}
			}
			return jobs.Result{}, nil
		}}}, 8)
		defer w.close(time.Second)
		for i := range 60 {
			w.await(w.submit(jobs.Spec{Kind: "k", Priority: i % 2, Input: jobs.Value(fmt.Sprint(i))}).ID)
		}
		w.expect("failed", w.count(jobs.Filter{States: []jobs.State{jobs.Failed}}), 30)
		broken = false
		before := w.store.Head()
		w.bulk(engine.Bulk{Action: engine.RetryAll, Caller: "me"})
		synctest.Wait()
		w.expect("of kind k", w.count(jobs.Filter{Kind: "k"}), 90)
		page, err := w.store.List(w.Context(), jobs.Filter{Kind: "k", Limit: 30})
		if err != nil {
			w.Fatal(err)
		}
		seen := map[jobs.ID]bool{}
		for _, j := range page.Jobs {
			old := w.get(j.RetryOf)
			if old.State != jobs.Failed || string(old.Input) != string(j.Input) || j.Caller != "me" || seen[old.ID] || j.N <= before.Seq {
				w.Errorf("a retry %+v of %+v", j, old)
			}
			seen[old.ID] = true
		}
		w.bulk(engine.Bulk{Action: engine.RetryAll, Filter: jobs.Filter{States: []jobs.State{jobs.Succeeded}, Kind: "k"}}) // only if it is said
		synctest.Wait()
		w.expect("of kind k", w.count(jobs.Filter{Kind: "k"}), 90+60)
		if _, err := w.engine.Retry(w.Context(), jobs.DefaultTenant, w.bulk(engine.Bulk{Action: engine.CancelAll}).ID, engine.RetryOptions{}); err == nil {
			w.Error("a bulk job was retried like any other")
		}
	})
}

// TestBulkGoesOnAfterARestart: it waits while a queue is full, and repeats nothing when
// another process takes over.
func TestBulkGoesOnAfterARestart(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		for range 600 { // two pages
			w.submit(jobs.Spec{Kind: "nobody"})
		}
		w.bulk(engine.Bulk{Action: engine.CancelAll})
		limit := func(n int) {
			if err := w.engine.Queues.Configure(context.Background(), jobs.DefaultTenant, "default", func(s *jobs.QueueSettings) error { s.Capacity = n; return nil }); err != nil {
				w.Fatal(err)
			}
		}
		limit(550)
		spec, err := engine.Bulk{Action: engine.RetryAll, Filter: jobs.Filter{Tenant: jobs.DefaultTenant}}.Spec()
		if err != nil {
			w.Fatal(err)
		}
		bulk := w.submit(spec)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		w.expect("waiting for room", words(w.get(bulk.ID).State, w.count(jobs.Filter{States: []jobs.State{jobs.Queued}})), "running 550")
		w.close(0)
		w.open(nil, 0)
		time.Sleep(3 * time.Second)
		synctest.Wait()
		w.expect("after a restart", words(w.get(bulk.ID).State, w.count(jobs.Filter{States: []jobs.State{jobs.Queued}})), "running 550")
		limit(0)
		job := w.await(bulk.ID)
		w.expect("in the end", words(job.State, string(job.Result), w.count(jobs.Filter{States: []jobs.State{jobs.Queued}})), `succeeded {"count":600,"done":600,"skipped":0} 600`)
		w.close(0)
	})
}

func TestBulkCancelled(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		defer w.close(0)
		j := w.submit(jobs.Spec{Kind: "nobody"})
		if _, _, err := w.engine.Cancel(w.Context(), jobs.DefaultTenant, j.ID); err != nil {
			w.Fatal(err)
		}
		w.submit(jobs.Spec{Kind: "nobody"})
		if err := w.engine.Queues.Configure(w.Context(), jobs.DefaultTenant, "default", func(s *jobs.QueueSettings) error { s.Capacity = 1; return nil }); err != nil {
			w.Fatal(err)
		}
		spec, err := engine.Bulk{Action: engine.RetryAll, Filter: jobs.Filter{Tenant: jobs.DefaultTenant}}.Spec()
		if err != nil {
			w.Fatal(err)
		}
		bulk := w.submit(spec)
		time.Sleep(time.Second)
		if _, _, err := w.engine.Cancel(w.Context(), jobs.DefaultTenant, bulk.ID); err != nil {
			w.Fatal(err)
		}
		w.expect("a bulk job that waits and is cancelled", w.await(bulk.ID).State, jobs.Cancelled)
	})
}
