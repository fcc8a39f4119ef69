package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"jobhub/jobs"
)

// named is an insertion whose input is its name, so that failures show an order as names.
func named(name string, edit func(*jobs.Job)) *jobs.Change {
	return newJob(func(c *jobs.Change) {
		c.Job.Input = jobs.Value(`"` + name + `"`)
		edit(&c.Job)
	})
}

// inputsOf joins the inputs of claimed jobs.
func inputsOf(list []jobs.Job) string {
	var out []string
	for _, j := range list {
		out = append(out, strings.Trim(string(j.Input), `"`))
	}
	return strings.Join(out, " ")
}

func leases(prefix string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprint(prefix, i))
	}
	return all
}

func expectClaim(t T, s jobs.Store, n int, want string) []jobs.Job {
	t.Helper()
	got := claim(t, s, []string{"k"}, leases(want+"-", n)...)
	if inputsOf(got) != want {
		t.Errorf("claimed %q, want %q", inputsOf(got), want)
	}
	return got
}

// settings changes the settings of queue q.
func settings(t T, s jobs.Store, set jobs.QueueSettings, event jobs.EventType) {
	t.Helper()
	q := &jobs.QueueChange{Tenant: "default", Name: "q", Settings: set, Event: jobs.Event{Type: event, Data: jobs.Value(`{}`)}}
	if err := s.Commit(t.Context(), &jobs.Batch{Now: epochStart, Queues: []*jobs.QueueChange{q}}); err != nil {
		t.Fatalf("changing the queue: %v", err)
	}
}

// backTo moves a claimed job to another state that is not final.
func backTo(j jobs.Job, to jobs.State) *jobs.Change {
	c := &jobs.Change{Job: j, If: jobs.Condition{State: jobs.Running, Lease: j.Lease}, Fields: jobs.FieldState | jobs.FieldLease, Event: jobs.Event{Type: jobs.JobQueued, Data: jobs.Value(`{}`)}}
	if to == jobs.Retrying {
		c.Event.Type = jobs.JobRetrying
	}
	c.Job.State, c.Job.Lease = to, ""
	return c
}

func checkOrderingKey(t T, h Harness) {
	s := h.Open()
	in := func(key string) func(*jobs.Job) { return func(j *jobs.Job) { j.OrderingKey = key } }
	urgent := named("a3", in("a"))
	urgent.Job.Priority = 100 // the order of acceptance counts more
	must(t, s, named("a1", in("a")), named("b1", in("b")), named("a2", in("a")), urgent, named("free", func(*jobs.Job) {}))
	first := expectClaim(t, s, 9, "a1 b1 free")
	must(t, s, backTo(first[0], jobs.Retrying)) // a retrying job stays first in its order
	expectClaim(t, s, 9, "")
	retry := &jobs.Change{Job: first[0], If: jobs.Condition{State: jobs.Retrying}, Fields: jobs.FieldState, Event: jobs.Event{Type: jobs.JobQueued, Data: jobs.Value(`{}`)}}
	retry.Job.State = jobs.Queued
	must(t, s, retry)
	s = h.Crash()
	again := expectClaim(t, s, 9, "a1")
	end := finish(again[0], `1`)
	end.Job.State = jobs.Failed // after a job has failed for good the next one runs
	must(t, s, end)
	next := expectClaim(t, s, 9, "a2")
	must(t, s, backTo(next[0], jobs.Queued)) // a released job stays first in its order
	next = expectClaim(t, s, 9, "a2")
	must(t, s, finish(next[0], `1`))
	expectClaim(t, s, 9, "a3")

	// A job that ends while it waits lets the next one pass too.
	c1, c2 := named("c1", in("c")), named("c2", in("c"))
	must(t, s, c1, c2)
	cancel := &jobs.Change{Job: c1.Job, If: jobs.Condition{State: jobs.Queued}, Fields: jobs.FieldState, Event: jobs.Event{Type: jobs.JobCancelled, Data: jobs.Value(`{}`)}}
	cancel.Job.State = jobs.Cancelled
	must(t, s, cancel)
	expectClaim(t, s, 9, "c2")
}

func checkFairKeys(t T, h Harness) {
	s := h.Open()
	for i := range 6 {
		must(t, s, named(fmt.Sprint("n", i), func(j *jobs.Job) { j.FairKey = "noisy" }))
	}
	must(t, s, named("x", func(j *jobs.Job) { j.FairKey = "quiet" }), named("y", func(j *jobs.Job) { j.FairKey = "calm" }), named("z", func(j *jobs.Job) { j.FairKey = "quiet" }))
	got := append(claim(t, s, []string{"k"}, leases("l", 4)...), claim(t, s, []string{"k"}, leases("m", 9)...)...)
	if want := "n0 x y n1 z n2 n3 n4 n5"; inputsOf(got) != want {
		t.Errorf("claimed %q, want %q", inputsOf(got), want)
	}
}

func checkPerKey(t T, h Harness) {
	s := h.Open()
	settings(t, s, jobs.QueueSettings{PerKey: 2}, 0)
	in := func(key string) func(*jobs.Job) { return func(j *jobs.Job) { j.FairKey = key } }
	must(t, s, named("a1", in("a")), named("a2", in("a")), named("a3", in("a")), named("a4", in("a")), named("b1", in("b")))
	got := expectClaim(t, s, 9, "a1 a2 b1")
	must(t, s, finish(got[0], `1`))
	expectClaim(t, s, 9, "a3")
	must(t, s, backTo(got[1], jobs.Retrying)) // a retrying job does not count as running
	s = h.Crash()
	expectClaim(t, s, 9, "a4")
	must(t, s, named("a5", in("a")), named("a6", in("a")), named("a7", in("a")))
	expectClaim(t, s, 9, "")
	settings(t, s, jobs.QueueSettings{PerKey: 4}, 0)
	expectClaim(t, s, 9, "a5 a6")
	settings(t, s, jobs.QueueSettings{}, 0)
	expectClaim(t, s, 9, "a7")
}

func checkConcurrency(t T, h Harness) {
	s := h.Open()
	settings(t, s, jobs.QueueSettings{Concurrency: 2}, 0)
	plain := func(*jobs.Job) {}
	must(t, s, named("1", plain), named("2", plain), named("3", plain), named("4", plain), named("other", func(j *jobs.Job) { j.Queue = "p" }))
	cl := &jobs.Claim{Kinds: []string{"k"}, Leases: leases("l", 9)}
	if err := s.Commit(t.Context(), &jobs.Batch{Now: epochStart, Claims: []*jobs.Claim{cl}}); err != nil || inputsOf(cl.Jobs) != "1 2 other" || !cl.Limited {
		t.Fatalf("claimed %q, limited %v: %v", inputsOf(cl.Jobs), cl.Limited, err)
	}
	s = h.Crash()
	expectClaim(t, s, 9, "")
	// The end of a job frees its place within the same commit.
	next := &jobs.Claim{Kinds: []string{"k"}, Leases: leases("m", 9)}
	if err := s.Commit(t.Context(), &jobs.Batch{Now: epochStart, Changes: []*jobs.Change{finish(cl.Jobs[0], `1`)}, Claims: []*jobs.Claim{next}}); err != nil || inputsOf(next.Jobs) != "3" {
		t.Errorf("after an end: %q, %v", inputsOf(next.Jobs), err)
	}
	settings(t, s, jobs.QueueSettings{}, 0)
	one := &jobs.Claim{Kinds: []string{"k"}, Leases: leases("o", 9), Allow: map[jobs.QueueName]int{{Tenant: "default", Name: "q"}: 0}}
	if err := s.Commit(t.Context(), &jobs.Batch{Now: epochStart, Claims: []*jobs.Claim{one}}); err != nil || len(one.Jobs) != 0 || !one.Limited {
		t.Errorf("a claim that is not allowed: %q, limited %v, %v", inputsOf(one.Jobs), one.Limited, err)
	}
	only := &jobs.Claim{Kinds: []string{"k"}, Leases: leases("p", 9), Queues: []string{"p"}}
	if err := s.Commit(t.Context(), &jobs.Batch{Now: epochStart, Claims: []*jobs.Claim{only}}); err != nil || len(only.Jobs) != 0 {
		t.Errorf("a claim of another queue: %q, %v", inputsOf(only.Jobs), err)
	}
	expectClaim(t, s, 9, "4")
}

func checkCapacity(t T, h Harness) {
	s := h.Open()
	settings(t, s, jobs.QueueSettings{Capacity: 2}, 0)
	a, b, c := newJob(), newJob(), newJob()
	commit(t, s, a, b, c)
	if a.Err != nil || b.Err != nil || !errors.Is(c.Err, jobs.ErrQueueFull) {
		t.Fatalf("outcomes %v, %v, %v", a.Err, b.Err, c.Err)
	}
	run := claim(t, s, []string{"k"}, "l1") // a running job does not count
	d := newJob()
	commit(t, s, d)
	if d.Err != nil {
		t.Errorf("after one started: %v", d.Err)
	}
	must(t, s, backTo(run[0], jobs.Queued)) // an accepted job may always return to its queue
	e := newJob()
	commit(t, s, e)
	if !errors.Is(e.Err, jobs.ErrQueueFull) || s.Head().Seq != 5 {
		t.Errorf("a full queue: %v, head %v", e.Err, s.Head())
	}
}

func checkPause(t T, h Harness) {
	s := h.Open()
	must(t, s, newJob())
	paused := jobs.QueueSettings{Paused: &jobs.Pause{At: epochStart, By: "ops", Reason: "provider down"}, Concurrency: 5, Rate: jobs.Rate{N: 3, Per: jobs.Duration(time.Minute)}}
	settings(t, s, paused, jobs.QueuePaused)
	s = h.Crash()
	expectClaim(t, s, 9, "")
	queues, _, err := s.Queues(t.Context(), "default")
	if err != nil || len(queues) != 1 || queues[0].Settings.Paused == nil || queues[0].Settings.Paused.Reason != "provider down" || queues[0].Settings.Rate != paused.Rate {
		t.Fatalf("Queues: %+v, %v", queues, err)
	}
	settings(t, s, jobs.QueueSettings{}, jobs.QueueResumed)
	if got := claim(t, s, []string{"k"}, "l"); len(got) != 1 {
		t.Errorf("after resuming: %d jobs", len(got))
	}
	events := readAll(t, s, 1)
	if len(events) != 3 || events[0].Type != jobs.QueuePaused || events[0].Queue != "q" || events[0].Job != (jobs.ID{}) || events[1].Type != jobs.QueueResumed {
		t.Errorf("events %+v", events)
	}
}

// Each start has a higher number, and its output is counted from 0.
func checkStart(t T, h Harness) {
	s := h.Open()
	must(t, s, newJob())
	for start := 1; start <= 3; start++ {
		j := claim(t, s, []string{"k"}, fmt.Sprint("l", start))[0]
		if j.Start != start || j.Output != 0 {
			t.Errorf("start %d begins as number %d with %d bytes of output", start, j.Start, j.Output)
		}
		wrote := &jobs.Change{Job: j, If: jobs.Condition{State: jobs.Running, Lease: j.Lease}, Fields: jobs.FieldOutput, Event: jobs.Event{Type: jobs.JobOutput, Data: jobs.Value(`{}`)}}
		wrote.Job.Output = int64(start) << 33
		must(t, s, wrote)
		s = h.Crash()
		if now := get(t, s, j.ID); now.Output != int64(start)<<33 || now.Start != start {
			t.Errorf("stored are %d bytes of start %d", now.Output, now.Start)
		}
		again := backTo(j, jobs.Queued)
		again.Job.Attempt--
		again.Fields |= jobs.FieldAttempt
		must(t, s, again)
	}
	if j := get(t, s, claim(t, s, []string{"k"}, "last")[0].ID); j.Attempt != 1 || j.Start != 4 {
		t.Errorf("attempt %d, start %d", j.Attempt, j.Start)
	}
}
