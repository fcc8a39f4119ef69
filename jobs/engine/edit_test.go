package engine_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
)

func (w *world) edit(id jobs.ID, body string) (jobs.Job, error) {
	w.Helper()
	edit, err := jobs.DecodeEdit([]byte(body))
	if err != nil {
		w.Fatal(err)
	}
	job, _, err := w.engine.Change(context.Background(), jobs.DefaultTenant, id, edit)
	return job, err
}

// counts are the jobs of a queue by state.
func (w *world) counts(queue string) string {
	w.Helper()
	queues, _, err := w.store.Queues(context.Background(), jobs.DefaultTenant)
	if err != nil {
		w.Fatal(err)
	}
	text := ""
	for _, q := range queues {
		for _, s := range jobs.States {
			if n := q.Counts[s]; q.Name == queue && n != 0 {
				text += fmt.Sprintf("%s %d ", s, n)
			}
		}
	}
	return text
}

func conflict(err error) bool {
	p, ok := errors.AsType[*jobs.Problem](err)
	return ok && p.Code == jobs.Conflict
}

// TestChangeOfAWaitingJob: each member, each state that takes it, and each that does not.
func TestChangeOfAWaitingJob(t *testing.T) {
	inWorld(t, func(w *world) {
		stop := make(chan struct{})
		w.open(handlers{"slow": {Run: func(context.Context, jobs.Run) (jobs.Result, error) { <-stop; return jobs.Result{}, nil }}}, 4)
		defer w.close(0)
		queued := w.submit(jobs.Spec{Kind: "nobody", Tags: []string{"a", "b"}})
		job, err := w.edit(queued.ID, `{"priority":7,"tags":["b","c"],"queue":"other"}`)
		if err != nil {
			t.Fatal(err)
		}
		w.expect("changed", words(job.State, job.Priority, job.Tags, job.Queue), "queued 7 [b c] other")
		w.expect("its events", w.story(job.ID), "queued changed changed") // one in the old queue and one in the new one
		w.expect("its version", job.Version, 3)
		w.expect("queues", w.counts("default")+"| "+w.counts("other"), "| queued 1 ")
		w.expect("by tag", words(w.count(jobs.Filter{Tag: "a"}), w.count(jobs.Filter{Tag: "b"}), w.count(jobs.Filter{Tag: "c"})), "0 1 1")
		again, err := w.edit(queued.ID, `{"priority":7,"queue":"other"}`)
		w.expect("the same again", words(again.Version, err), words(3, nil))

		job, err = w.edit(queued.ID, `{"delay":"1h"}`)
		w.expect("put off", words(job.State, time.Until(job.ScheduledAt), err), words("scheduled", time.Hour, nil))
		job, err = w.edit(queued.ID, `{"run_at":"2000-01-01T03:00:00Z"}`)
		w.expect("put off further", words(job.State, time.Until(job.ScheduledAt), err), words("scheduled", 3*time.Hour, nil))
		w.expect("its story", w.story(job.ID), "queued changed changed scheduled changed")
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		w.expect("after two hours", w.get(job.ID).State, jobs.Scheduled)
		time.Sleep(time.Hour)
		synctest.Wait()
		w.expect("after three hours", w.get(job.ID).State, jobs.Queued)

		running := w.submit(jobs.Spec{Kind: "slow"})
		synctest.Wait()
		if _, err := w.edit(running.ID, `{"priority":1}`); !conflict(err) {
			t.Errorf("while it runs: %v", err)
		}
		waiting := w.submit(jobs.Spec{Kind: "nobody", After: []jobs.ID{running.ID}})
		if job, err = w.edit(waiting.ID, `{"delay":"1h","queue":"third"}`); err != nil || job.State != jobs.Waiting {
			t.Errorf("while it waits for others: %s, %v", job.State, err)
		}
		close(stop)
		synctest.Wait()
		if _, err := w.edit(running.ID, `{"priority":1}`); !conflict(err) {
			t.Errorf("after its end: %v", err)
		}
		w.expect("after those it waited for", w.get(waiting.ID).State, jobs.Scheduled)
		time.Sleep(time.Hour)
		synctest.Wait()
		w.expect("an hour after that", w.get(waiting.ID).State, jobs.Queued)
		w.expect("queues", w.counts("default")+"| "+w.counts("other")+"| "+w.counts("third"), "succeeded 1 | queued 1 | queued 1 ")
	})
}

// TestPriorityOfAWaitingJob: it decides who is next, and so does a move to another queue.
func TestPriorityOfAWaitingJob(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		defer w.close(0)
		var ids []jobs.ID
		for range 3 {
			ids = append(ids, w.submit(jobs.Spec{Kind: "k"}).ID)
		}
		if _, err := w.edit(ids[2], `{"priority":1}`); err != nil {
			t.Fatal(err)
		}
		if _, err := w.edit(ids[0], `{"queue":"other"}`); err != nil {
			t.Fatal(err)
		}
		if err := w.engine.Queues.Pause(context.Background(), jobs.DefaultTenant, "other", "me", ""); err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex // of order
		var order []jobs.ID
		w.engine.Handle("k", jobs.Handler{Run: func(_ context.Context, run jobs.Run) (jobs.Result, error) {
			mu.Lock()
			order = append(order, run.Job().ID)
			mu.Unlock()
			return jobs.Result{}, nil
		}})
		synctest.Wait()
		w.expect("order", words(len(order)), "2") // the slots take both at once
		w.expect("the moved one", w.get(ids[0]).State, jobs.Queued)
		if err := w.engine.Queues.Resume(context.Background(), jobs.DefaultTenant, "other"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.expect("all", len(order), 3)
	})
}

// TestMoveToAFullQueue: capacity counts for those who come from another queue, too.
func TestMoveToAFullQueue(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(nil, 0)
		defer w.close(0)
		if err := w.engine.Queues.Configure(context.Background(), jobs.DefaultTenant, "small", func(s *jobs.QueueSettings) error { s.Capacity = 1; return nil }); err != nil {
			t.Fatal(err)
		}
		a, b := w.submit(jobs.Spec{Kind: "k"}), w.submit(jobs.Spec{Kind: "k"})
		if _, err := w.edit(a.ID, `{"queue":"small"}`); err != nil {
			t.Fatal(err)
		}
		if _, err := w.edit(b.ID, `{"queue":"small","priority":5}`); !errors.Is(err, jobs.ErrQueueFull) {
			t.Errorf("a full queue: %v", err)
		}
		if j := w.get(b.ID); j.Priority != 0 || j.Version != 1 || j.Queue != "default" {
			t.Errorf("a refused change left %+v", j)
		}
		if _, err := w.edit(a.ID, `{"priority":5}`); err != nil {
			t.Errorf("within a full queue: %v", err)
		}
	})
}

// TestMoveWithKeys: the order of an ordering key holds in the new queue, the next one of the
// old queue continues, and the place of its fair key is free.
func TestMoveWithKeys(t *testing.T) {
	inWorld(t, func(w *world) {
		stop := make(chan struct{})
		w.open(nil, 0)
		defer w.close(0)
		var mu sync.Mutex // of order
		var order []string
		submit := func(queue, name, ordering, fair string) jobs.ID {
			return w.submit(jobs.Spec{Kind: "k", Queue: queue, OrderingKey: ordering, FairKey: fair, Input: jobs.Value(`"` + name + `"`)}).ID
		}
		old := submit("q", "old", "o", "")
		submit("q", "next", "o", "")
		submit("p", "young", "o", "f")
		submit("p", "fair", "", "f") // waits for the turn of young
		if _, err := w.edit(old, `{"queue":"p"}`); err != nil {
			t.Fatal(err)
		}
		w.engine.Handle("k", jobs.Handler{Run: func(_ context.Context, run jobs.Run) (jobs.Result, error) {
			mu.Lock()
			order = append(order, string(run.Job().Input))
			mu.Unlock()
			<-stop
			return jobs.Result{}, nil
		}})
		synctest.Wait()
		running := fmt.Sprint(len(order))
		w.expect("at once: old, next and fair", running, "3")
		for _, name := range order {
			if name == `"young"` {
				t.Error("young overtook old")
			}
		}
		late := submit("q", "late", "o", "")
		if _, err := w.edit(late, `{"queue":"p"}`); err != nil { // behind old and young
			t.Error(err)
		}
		early := submit("r", "early", "x", "")
		submit("s", "runs", "x", "")
		synctest.Wait()
		_ = early
		close(stop)
		synctest.Wait()
		w.expect("all have run", w.counts("p")+w.counts("q"), "succeeded 4 succeeded 1 ")
	})
}

// TestMoveBeforeWhatRuns: a job can't go before a later one of its ordering key that runs.
func TestMoveBeforeWhatRuns(t *testing.T) {
	inWorld(t, func(w *world) {
		stop := make(chan struct{})
		w.open(handlers{"k": {Run: func(context.Context, jobs.Run) (jobs.Result, error) { <-stop; return jobs.Result{}, nil }}}, 4)
		defer w.close(0)
		early := w.submit(jobs.Spec{Kind: "nobody", OrderingKey: "o"})
		w.submit(jobs.Spec{Kind: "k", Queue: "p", OrderingKey: "o"})
		synctest.Wait()
		if _, err := w.edit(early.ID, `{"queue":"p"}`); !errors.Is(err, jobs.ErrOrderTaken) || w.get(early.ID).Queue != "default" {
			t.Errorf("before one that runs: %v", err)
		}
		close(stop)
		synctest.Wait()
		if _, err := w.edit(early.ID, `{"queue":"p"}`); err != nil {
			t.Errorf("after its end: %v", err)
		}
	})
}

// TestRunNow: what waits for a time runs at once, and no attempt is spent.
func TestRunNow(t *testing.T) {
	inWorld(t, func(w *world) {
		fail := true
		w.open(handlers{"k": {Run: func(context.Context, jobs.Run) (jobs.Result, error) {
			if fail {
				return jobs.Result{}, errors.New("not yet")
			}
			return jobs.Result{}, nil
		}}}, 4)
		defer w.close(0)
		run := func(id jobs.ID) error {
			_, _, err := w.engine.RunNow(context.Background(), jobs.DefaultTenant, id)
			return err
		}
		retrying := w.submit(jobs.Spec{Kind: "k", Backoff: jobs.Backoff{Kind: jobs.Fixed, Initial: time.Hour, Max: time.Hour}})
		scheduled := w.submit(jobs.Spec{Kind: "k", Delay: time.Hour, QueueTimeout: time.Minute})
		synctest.Wait()
		fail = false
		for _, id := range []jobs.ID{retrying.ID, scheduled.ID} {
			if err := run(id); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if err := run(id); !conflict(err) {
				t.Errorf("after its end: %v", err)
			}
		}
		w.expect("retrying", words(w.get(retrying.ID).Attempt, w.story(retrying.ID)), "2 queued started retrying queued started succeeded")
		w.expect("scheduled", w.story(scheduled.ID), "scheduled queued started succeeded")
		if j := w.get(scheduled.ID); j.StartedAt.Before(j.ScheduledAt) {
			t.Errorf("it says that it ran before its time: %v, %v", j.StartedAt, j.ScheduledAt)
		}
		queued := w.submit(jobs.Spec{Kind: "nobody"})
		waiting := w.submit(jobs.Spec{Kind: "nobody", After: []jobs.ID{queued.ID}})
		if err := run(queued.ID); err != nil || w.get(queued.ID).Version != 1 {
			t.Errorf("a queued job: %v", err)
		}
		if err := run(waiting.ID); !conflict(err) {
			t.Errorf("one that waits for others: %v", err)
		}
		late := w.submit(jobs.Spec{Kind: "nobody", Delay: time.Hour, QueueTimeout: time.Minute})
		if err := run(late.ID); err != nil {
			t.Fatal(err)
		}
		w.expect("its deadline", time.Until(w.get(late.ID).ExpiresAt), time.Minute)
	})
}

// TestDelete: a finished job is forgotten with all that belongs to it, and nothing else is.
func TestDelete(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{"k": {}}, 1)
		defer w.close(0)
		ctx := context.Background()
		del := func(id jobs.ID) error { return w.engine.Delete(ctx, jobs.DefaultTenant, id) }
		queued := w.submit(jobs.Spec{Kind: "nobody", Tags: []string{"t"}, Key: &jobs.Key{Scope: "s", Key: "x", Fingerprint: []byte("f"), Until: time.Now().Add(time.Hour)}})
		child := w.submit(jobs.Spec{Kind: "nobody", After: []jobs.ID{queued.ID}, Parent: queued.ID})
		if err := del(queued.ID); !conflict(err) {
			t.Errorf("unfinished: %v", err)
		}
		if _, _, err := w.engine.Cancel(ctx, jobs.DefaultTenant, queued.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.expect("its child", w.get(child.ID).Reason, jobs.ByDependency)
		if err := del(queued.ID); err != nil {
			t.Fatal(err)
		}
		if _, _, err := w.store.Job(ctx, jobs.DefaultTenant, queued.ID); !errors.Is(err, jobs.ErrGone) {
			t.Errorf("read after that: %v", err)
		}
		if err := del(queued.ID); !errors.Is(err, jobs.ErrGone) {
			t.Errorf("deleted twice: %v", err)
		}
		w.expect("counters", w.counts("default"), "cancelled 1 ")
		w.expect("by tag", w.count(jobs.Filter{Tag: "t"}), 0)
		if events, err := w.store.Read(ctx, jobs.ReadQuery{After: w.store.Head().Seq - 1}); err != nil || events[0].Type != jobs.JobDeleted || events[0].Job != queued.ID || events[0].Version != 3 {
			t.Errorf("the last event: %+v, %v", events, err)
		}
		again := func(fingerprint string) error {
			_, err := w.engine.Submit(ctx, jobs.Spec{Tenant: jobs.DefaultTenant, Kind: "nobody", Key: &jobs.Key{Scope: "s", Key: "x", Fingerprint: []byte(fingerprint), Until: time.Now().Add(time.Hour)}})
			return err
		}
		if err := again("f"); !errors.Is(err, jobs.ErrGone) { // else a repetition would run twice
			t.Errorf("its idempotency key: %v", err)
		}
		if p, ok := errors.AsType[*jobs.Problem](again("other")); !ok || p.Status != 422 {
			t.Errorf("its idempotency key with another body: %v", p)
		}
		if a, err := w.engine.Retry(ctx, jobs.DefaultTenant, child.ID, engine.RetryOptions{}); err != nil || a.Job.State != jobs.Queued {
			t.Errorf("a retry of its child: %+v, %v", a.Job, err)
		}
		w.close(0)
		w.open(nil, 0)
		w.expect("counters after a restart", w.counts("default"), "queued 1 cancelled 1 ")
		time.Sleep(time.Hour)
		if err := again("f"); err != nil {
			t.Errorf("the idempotency key after its time: %v", err)
		}
	})
}

// TestShortRetention: a job is gone soon after its retention, not at the next full minute.
func TestShortRetention(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{"k": {Run: func(context.Context, jobs.Run) (jobs.Result, error) { return jobs.Result{}, nil }}}, 1)
		defer w.close(0)
		for _, keep := range []time.Duration{time.Second, 30 * time.Second, 90 * time.Second, time.Hour} {
			time.Sleep(7 * time.Second)
			job := w.await(w.submit(jobs.Spec{Kind: "k", Retention: keep}).ID)
			time.Sleep(keep)
			synctest.Wait()
			if _, _, err := w.store.Job(context.Background(), jobs.DefaultTenant, job.ID); err != nil && time.Now().Before(job.RetainedUntil) {
				t.Errorf("kept for %s and gone before: %v", keep, err)
			}
			time.Sleep(3 * time.Second)
			synctest.Wait()
			if _, _, err := w.store.Job(context.Background(), jobs.DefaultTenant, job.ID); !errors.Is(err, jobs.ErrGone) {
				t.Errorf("3 s after %s: %v", keep, err)
			}
		}
	})
}
