package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/engine/attempt"
)

var bg = context.Background()

func (w *world) register(slots int, kinds ...string) string {
	return registered(w, w.engine, jobs.DefaultTenant, engine.WorkerSpec{Name: "test", Kinds: kinds, Slots: slots})
}

func registered(t testing.TB, e *engine.Engine, tenant string, s engine.WorkerSpec) string {
	t.Helper()
	id, err := e.Workers.Register(tenant, s)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (w *world) lease(id string, most int, wait time.Duration) engine.LeaseReply {
	w.Helper()
	l, err := w.engine.Workers.Lease(bg, jobs.DefaultTenant, id, most, wait)
	if err != nil {
		w.Fatal(err)
	}
	return l
}

// leaseOne leases until there is a job: a call returns early for a command, too.
func (w *world) leaseOne(id string) *jobs.Job {
	w.Helper()
	for {
		if l := w.lease(id, 1, time.Minute); len(l.Jobs) > 0 {
			return &l.Jobs[0]
		}
	}
}

func (w *world) beat(id string, wait time.Duration, tokens ...string) engine.LeaseReply {
	w.Helper()
	l, err := w.engine.Workers.Beat(bg, jobs.DefaultTenant, id, tokens, wait)
	if err != nil {
		w.Fatal(err)
	}
	return l
}

func (w *world) complete(token string) error {
	_, _, err := w.engine.Workers.Complete(bg, jobs.DefaultTenant, token, jobs.Value(`"by worker"`))
	return err
}

func TestWorkerLifeOfAJob(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{}, 1)
		defer w.close(time.Second)
		id := w.register(2, "k")
		var got engine.LeaseReply
		done := make(chan struct{})
		go func() { got = w.lease(id, 5, time.Minute); close(done) }()
		synctest.Wait() // it is parked
		j := w.submit(jobs.Spec{Kind: "k", Input: jobs.Value(`7`)})
		<-done
		w.expect("leased", words(len(got.Jobs), got.Jobs[0].ID == j.ID, string(got.Jobs[0].Input)), "1 true 7")
		token := engine.Token(&got.Jobs[0])
		half := 50.0
		reports := []attempt.Report{{N: 1, Progress: &jobs.Progress{Percent: &half}}, {N: 2, Stream: "out", Output: []byte("héllo")}, {N: 3, Checkpoint: jobs.Value(`{"page":4}`)}}
		for range 2 { // repeated, it is ignored
			n, state, err := w.engine.Workers.Report(bg, jobs.DefaultTenant, token, reports)
			w.expect("reported", words(n, state, err), "3 ok <nil>")
		}
		if err := w.complete(token); err != nil {
			t.Fatal(err)
		}
		w.expect("again", w.complete(token), nil)
		_, _, err := w.engine.Workers.Fail(bg, jobs.DefaultTenant, token, &jobs.Failure{Problem: jobs.ErrConflict})
		if !errors.Is(err, jobs.ErrConflict) {
			t.Errorf("another verb: %v", err)
		}
		j = w.get(j.ID)
		w.expect("end", words(j.State, string(j.Result), *j.Progress.Percent, string(j.Checkpoint)), `succeeded "by worker" 50 {"page":4}`)
		w.expect("story", w.story(j.ID), "queued started progress output progress succeeded")
		w.expect("report after the end", errors.Is(func() error { _, _, err := w.engine.Workers.Report(bg, jobs.DefaultTenant, token, reports); return err }(), jobs.ErrLeaseLost), true)
	})
}

func TestWorkerNeverGetsMoreThanItsSlots(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{}, 1)
		defer w.close(time.Second)
		for range 5 {
			w.submit(jobs.Spec{Kind: "k"})
		}
		id := w.register(3, "k")
		first := w.lease(id, 2, 0)
		w.expect("first", len(first.Jobs), 2)
		w.expect("rest of the slots", len(w.lease(id, 10, time.Second).Jobs), 1)
		begin := time.Now()
		w.expect("full", len(w.lease(id, 10, 5*time.Second).Jobs), 0)
		w.expect("it waited", time.Since(begin), 5*time.Second)
		got := make(chan engine.LeaseReply)
		go func() { got <- w.lease(id, 10, time.Minute) }()
		synctest.Wait()
		if err := w.complete(engine.Token(&first.Jobs[0])); err != nil {
			t.Fatal(err)
		}
		w.expect("after an end", len((<-got).Jobs), 1)
	})
}

func TestLostLeases(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{}, 1)
		defer w.close(time.Second)
		id := w.register(1, "k")
		j := w.submit(jobs.Spec{Kind: "k", MaxAttempts: 1})
		token := engine.Token(&w.lease(id, 1, 0).Jobs[0])
		for range 10 { // as long as it beats, it keeps the lease
			time.Sleep(20 * time.Second)
			w.expect("beat", w.beat(id, 0, token).Leases[token], engine.LeaseOK)
		}
		begin := time.Now()
		got := make(chan engine.LeaseReply)
		other := w.register(1, "k")
		go func() { got <- w.lease(other, 1, time.Hour) }()
		next := <-got
		if took := time.Since(begin); len(next.Jobs) != 1 || took < 30*time.Second || took > 35*time.Second {
			t.Errorf("%d jobs became available after %s", len(next.Jobs), took)
		}
		w.expect("attempt", next.Jobs[0].Attempt, 1)
		w.expect("the old worker is told", w.beat(id, 0, token).Leases[token], engine.LeaseLost)
		if err := w.complete(token); !errors.Is(err, jobs.ErrLeaseLost) {
			t.Errorf("a stale completion: %v", err)
		}
		w.expect("nothing changed", w.get(j.ID).State, jobs.Running)
		w.expect("the new worker", w.complete(engine.Token(&next.Jobs[0])), nil)
	})
}

// TestPoison: the third lost lease in a row ends the job, whatever attempts it has left.
func TestPoison(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{}, 1)
		defer w.close(time.Second)
		j := w.submit(jobs.Spec{Kind: "k", MaxAttempts: 100})
		for range 3 {
			w.expect("leased", len(w.lease(w.register(1, "k"), 1, time.Hour).Jobs), 1)
		}
		j = w.await(j.ID)
		w.expect("end", words(j.State, j.Reason, j.Error.Code, j.Attempt), "failed worker_lost worker_lost 1")
		w.expect("story", w.story(j.ID), "queued started queued started queued started failed")
	})
}

func TestNeverRerun(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{}, 1)
		defer w.close(time.Second)
		j := w.submit(jobs.Spec{Kind: "k", NeverRerun: true})
		w.lease(w.register(1, "k"), 1, 0)
		j = w.await(j.ID)
		w.expect("end", words(j.State, j.Reason), "failed worker_lost")
	})
}

func TestRunTimeoutOfAWorker(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{}, 1)
		defer w.close(time.Second)
		id := w.register(1, "k")
		j := w.submit(jobs.Spec{Kind: "k", Timeout: time.Minute, MaxAttempts: 1})
		token := engine.Token(&w.lease(id, 1, 0).Jobs[0])
		for w.beat(id, 0, token).Leases[token] == engine.LeaseOK { // it beats all the time
			time.Sleep(5 * time.Second)
		}
		j = w.await(j.ID)
		w.expect("end", words(j.State, j.Reason, j.FinishedAt.Sub(j.StartedAt) < 66*time.Second), "failed timeout true")
	})
}

func TestCancelIsToldAtOnce(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{}, 1)
		defer w.close(time.Second)
		id := w.register(2, "k")
		cancel := func(id jobs.ID) {
			t.Helper()
			if _, _, err := w.engine.Cancel(bg, jobs.DefaultTenant, id); err != nil {
				t.Fatal(err)
			}
		}
		for name, wait := range map[string]func(token string) engine.LeaseReply{
			"lease": func(string) engine.LeaseReply { return w.lease(id, 1, time.Hour) },
			"beat":  func(token string) engine.LeaseReply { return w.beat(id, time.Hour, token) },
		} {
			j := w.submit(jobs.Spec{Kind: "k"})
			token := engine.Token(w.leaseOne(id))
			told := make(chan engine.LeaseReply)
			go func() { told <- wait(token) }()
			synctest.Wait()
			begin := time.Now()
			cancel(j.ID)
			w.expect(name, words((<-told).Leases[token], time.Since(begin)), "cancel 0s")
			time.Sleep(9 * time.Second)
			w.beat(id, 0, token)
			w.expect("in its grace", w.get(j.ID).State, jobs.Running)
			if name == "lease" { // what is completed within the grace counts
				w.expect("completed", w.complete(token), nil)
				w.expect("end", w.get(j.ID).State, jobs.Succeeded)
				continue
			}
			time.Sleep(2 * time.Second)
			j = w.get(j.ID)
			w.expect("revoked", words(j.State, j.Reason), "cancelled user")
			w.expect("too late", errors.Is(w.complete(token), jobs.ErrLeaseLost), true)
		}
		// One that never asks: its lease runs out.
		j := w.submit(jobs.Spec{Kind: "k"})
		w.leaseOne(id)
		cancel(j.ID)
		j = w.await(j.ID)
		w.expect("a lease lost after a cancel", words(j.State, j.Reason), "cancelled user")
	})
}

func TestSnoozeAndRelease(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{}, 1)
		defer w.close(time.Second)
		id := w.register(1, "k")
		j := w.submit(jobs.Spec{Kind: "k", MaxAttempts: 1})
		token := engine.Token(&w.lease(id, 1, 0).Jobs[0])
		if _, _, err := w.engine.Workers.Snooze(bg, jobs.DefaultTenant, token, time.Hour); err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		again := w.lease(id, 1, 2*time.Hour).Jobs[0]
		if took := time.Since(begin); took < time.Hour || took > time.Hour+time.Second {
			t.Errorf("it came back after %s", took)
		}
		w.expect("attempt", again.Attempt, 1)
		if _, _, err := w.engine.Workers.Release(bg, jobs.DefaultTenant, engine.Token(&again), jobs.Value(`"p5"`)); err != nil {
			t.Fatal(err)
		}
		again = w.lease(id, 1, time.Hour).Jobs[0]
		w.expect("released", words(again.Attempt, string(again.Checkpoint)), `1 "p5"`)
		_, _, err := w.engine.Workers.Fail(bg, jobs.DefaultTenant, engine.Token(&again), &jobs.Failure{Problem: jobs.NewProblem("x", "No", "no")})
		w.expect("failed", err, nil)
		w.expect("story", w.story(j.ID), "queued started scheduled queued started queued started failed")
	})
}

func TestDirectives(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{}, 1)
		defer w.close(time.Second)
		id := w.register(1, "k")
		told := make(chan engine.LeaseReply)
		go func() { told <- w.lease(id, 1, time.Hour) }()
		synctest.Wait()
		if err := w.engine.Workers.SetDirective(jobs.DefaultTenant, id, engine.DirectiveQuiet); err != nil {
			t.Fatal(err)
		}
		w.expect("told", (<-told).Directive, engine.DirectiveQuiet)
		w.submit(jobs.Spec{Kind: "k"})
		w.expect("a quiet worker gets nothing", len(w.lease(id, 1, time.Second).Jobs), 0)
		w.expect("terminate", func() engine.Directive {
			w.engine.Workers.SetDirective(jobs.DefaultTenant, id, engine.DirectiveTerminate)
			return w.beat(id, time.Hour).Directive
		}(), engine.DirectiveTerminate)
		time.Sleep(3 * time.Minute)
		if _, err := w.engine.Workers.Lease(bg, jobs.DefaultTenant, id, 1, 0); !errors.Is(err, jobs.ErrNotFound) {
			t.Errorf("a worker that was silent for long: %v", err)
		}
	})
}

// TestLeasesSurviveARestart: after a restart of the hub a worker continues, also with its output.
func TestLeasesSurviveARestart(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{}, 1)
		id := w.register(1, "k")
		j := w.submit(jobs.Spec{Kind: "k", MaxAttempts: 1})
		token := engine.Token(&w.lease(id, 1, 0).Jobs[0])
		one := attempt.Report{N: 1, Stream: "out", Output: []byte("12345")}
		if _, _, err := w.engine.Workers.Report(bg, jobs.DefaultTenant, token, []attempt.Report{one}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(29 * time.Second)
		w.close(time.Second)
		w.open(handlers{}, 1)
		defer w.close(time.Second)
		time.Sleep(29 * time.Second) // the lease got a fresh period
		if _, err := w.engine.Workers.Beat(bg, jobs.DefaultTenant, id, nil, 0); !errors.Is(err, jobs.ErrNotFound) {
			t.Errorf("the hub knows the worker still: %v", err)
		}
		id = w.register(1, "k")
		w.expect("its lease is good", w.beat(id, 0, token).Leases[token], engine.LeaseOK)
		time.Sleep(29 * time.Second)
		n, _, err := w.engine.Workers.Report(bg, jobs.DefaultTenant, token, []attempt.Report{one, {N: 2, Stream: "out", Output: []byte("678")}})
		w.expect("reports", words(n, err), "2 <nil>")
		w.expect("completed", w.complete(token), nil)
		events, _ := w.store.Read(bg, jobs.ReadQuery{Job: j.ID})
		var outs []string
		for _, e := range events {
			if e.Type == jobs.JobOutput {
				o := decodeOutput(t, e.Data)
				outs = append(outs, fmt.Sprintf("%d:%s", o.Off, o.Text))
			}
		}
		w.expect("output", strings.Join(outs, " "), "0:12345 5:678")
	})
}

func TestAWorkerThatHangsUpGetsNothing(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{}, 1)
		defer w.close(time.Second)
		id := w.register(1, "k")
		ctx, cancel := context.WithCancel(bg)
		gone := make(chan error)
		go func() { _, err := w.engine.Workers.Lease(ctx, jobs.DefaultTenant, id, 1, time.Hour); gone <- err }()
		synctest.Wait()
		cancel()
		<-gone
		j := w.submit(jobs.Spec{Kind: "k"})
		synctest.Wait()
		w.expect("it waits", w.get(j.ID).State, jobs.Queued)
		w.expect("for the next poll", len(w.lease(id, 1, time.Hour).Jobs), 1)
	})
}

func TestQueueLimits(t *testing.T) {
	inWorld(t, func(w *world) {
		started := make(chan time.Time, 100)
		w.open(handlers{"k": {Run: func(context.Context, jobs.Run) (jobs.Result, error) {
			started <- time.Now()
			time.Sleep(time.Second)
			return jobs.Result{}, nil
		}}}, 16)
		defer w.close(time.Minute)
		configure := func(queue string, set jobs.QueueSettings) {
			t.Helper()
			if err := w.engine.Queues.Configure(bg, jobs.DefaultTenant, queue, func(s *jobs.QueueSettings) error { *s = set; return nil }); err != nil {
				t.Fatal(err)
			}
		}
		run := func(queue string, n int) time.Duration {
			t.Helper()
			begin := time.Now()
			var list []jobs.Job
			for range n {
				list = append(list, w.submit(jobs.Spec{Kind: "k", Queue: queue}))
			}
			for _, j := range list {
				w.await(j.ID)
			}
			return time.Since(begin)
		}
		configure("narrow", jobs.QueueSettings{Concurrency: 2})
		if took := run("narrow", 6); took < 3*time.Second || took > 3200*time.Millisecond {
			t.Errorf("6 jobs of 1 s, 2 at a time, took %s", took)
		}
		configure("slow", jobs.QueueSettings{Rate: jobs.Rate{N: 3, Per: jobs.Duration(time.Minute)}})
		if took := run("slow", 6); took < time.Minute || took > 62*time.Second {
			t.Errorf("6 jobs at 3 a minute, 3 of them at once, took %s", took)
		}
		configure("small", jobs.QueueSettings{Capacity: 1, QueueTimeout: jobs.Duration(5 * time.Second)})
		if err := w.engine.Queues.Pause(bg, jobs.DefaultTenant, "small", "me", "why not"); err != nil {
			t.Fatal(err)
		}
		first := w.submit(jobs.Spec{Kind: "k", Queue: "small"})
		if _, err := w.engine.Submit(bg, jobs.Spec{Kind: "k", Queue: "small"}); !errors.Is(err, jobs.ErrQueueFull) {
			t.Errorf("a full queue: %v", err)
		}
		w.expect("the queue's own timeout", w.await(first.ID).Reason, jobs.Expired)
		second := w.submit(jobs.Spec{Kind: "k", Queue: "small"})
		time.Sleep(time.Second)
		w.expect("paused", w.get(second.ID).State, jobs.Queued)
		if err := w.engine.Queues.Resume(bg, jobs.DefaultTenant, "small"); err != nil {
			t.Fatal(err)
		}
		w.expect("resumed", w.await(second.ID).State, jobs.Succeeded)
	})
}

func TestAfter(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{"ok": {Run: func(context.Context, jobs.Run) (jobs.Result, error) {
			time.Sleep(time.Second)
			return jobs.Result{}, nil
		}},
			"bad": {Run: func(context.Context, jobs.Run) (jobs.Result, error) { return jobs.Result{}, errors.New("no") }}}, 4)
		defer w.close(time.Minute)
		a, b := w.submit(jobs.Spec{Kind: "ok"}), w.submit(jobs.Spec{Kind: "ok", Delay: time.Hour})
		both := w.submit(jobs.Spec{Kind: "ok", After: []jobs.ID{a.ID, b.ID}})
		then := w.submit(jobs.Spec{Kind: "ok", After: []jobs.ID{both.ID}, Delay: 2 * time.Hour})
		w.expect("accepted", both.State, jobs.Waiting)
		w.await(then.ID)
		w.expect("both", w.story(both.ID), "waiting queued started succeeded")
		w.expect("then", w.story(then.ID), "waiting scheduled queued started succeeded")
		bad := w.submit(jobs.Spec{Kind: "bad", MaxAttempts: 1})
		child := w.submit(jobs.Spec{Kind: "ok", After: []jobs.ID{bad.ID, a.ID}})
		grandchild := w.submit(jobs.Spec{Kind: "ok", After: []jobs.ID{child.ID}})
		for _, id := range []jobs.ID{child.ID, grandchild.ID} {
			j := w.await(id)
			w.expect("a parent failed", words(j.State, j.Reason), "cancelled parent")
		}
		late := w.submit(jobs.Spec{Kind: "ok", After: []jobs.ID{a.ID}})
		w.expect("after what has ended", w.await(late.ID).State, jobs.Succeeded)
		_, err := w.engine.Submit(bg, jobs.Spec{Kind: "ok", After: []jobs.ID{{1}}})
		if p, ok := errors.AsType[*jobs.Problem](err); !ok || p.Status != 422 {
			t.Errorf("after an unknown job: %v", err)
		}
	})
}

func TestRetentionGivesTheSpaceBack(t *testing.T) {
	inWorld(t, func(w *world) {
		w.open(handlers{"k": {Run: func(context.Context, jobs.Run) (jobs.Result, error) { return jobs.Result{}, nil }}}, 4)
		defer w.close(time.Minute)
		short := w.submit(jobs.Spec{Kind: "k", Retention: time.Minute})
		long := w.submit(jobs.Spec{Kind: "k"})
		w.await(short.ID)
		w.await(long.ID)
		time.Sleep(3 * time.Minute)
		if _, _, err := w.store.Job(bg, jobs.DefaultTenant, short.ID); !errors.Is(err, jobs.ErrGone) {
			t.Errorf("out of its retention: %v", err)
		}
		w.expect("the other", w.get(long.ID).State, jobs.Succeeded)
		if _, err := w.store.Read(bg, jobs.ReadQuery{}); err != nil {
			t.Errorf("events of the last day: %v", err)
		}
		time.Sleep(25 * time.Hour)
		w.submit(jobs.Spec{Kind: "k"})
		time.Sleep(2 * time.Minute)
		if _, err := w.store.Read(bg, jobs.ReadQuery{}); !errors.Is(err, jobs.ErrTrimmed) {
			t.Errorf("events of the day before: %v", err)
		}
	})
}
