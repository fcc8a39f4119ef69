package storetest

import (
	"jobhub/jobs"
	"strings"
	"time"
)

// checkPartialResult checks that a running job may have a partial result, which grows.
func checkPartialResult(t T, h Harness) {
	s := h.Open()
	c := newJob(func(c *jobs.Change) { c.Job.Caller = "somebody" })
	must(t, s, c)
	run := claim(t, s, []string{"k"}, "l")[0]
	for _, n := range []int{10, 5 * jobs.SmallPayload, 9 * jobs.SmallPayload, 10} {
		part := progress(run, float64(n))
		part.Job.Result, part.Fields = jobs.Value(`"`+strings.Repeat("x", n)+`"`), part.Fields|jobs.FieldResult
		must(t, s, part)
		for range 2 {
			j := get(t, s, c.Job.ID)
			if j.State != jobs.Running || len(j.Result) != n+2 || string(j.Input) != string(c.Job.Input) || j.Caller != "somebody" {
				t.Errorf("with a result of %d bytes: %s, %d bytes, of %q", n, j.State, len(j.Result), j.Caller)
			}
			s = h.Crash()
		}
	}
	b := &jobs.Batch{Now: epochStart.Add(time.Second)}
	back := &jobs.Change{Job: run, If: jobs.Condition{State: jobs.Running, Lease: "l"}, Fields: jobs.FieldState | jobs.FieldLease, Event: jobs.Event{Type: jobs.JobQueued, Data: jobs.Value(`{}`)}}
	back.Job.State, back.Job.Lease = jobs.Queued, ""
	b.Changes = []*jobs.Change{back}
	if err := s.Commit(t.Context(), b); err != nil || back.Err != nil {
		t.Fatalf("queueing again: %v, %v", err, back.Err)
	}
	if again := claim(t, s, []string{"k"}, "l2"); len(again) != 1 || len(again[0].Result) != 12 {
		t.Errorf("the next attempt gets %+v", again)
	}
}

// checkPartial checks that an unfinished job can have a result, small or large, that the next
// result replaces it, and that nothing of it remains.
func checkPartial(t T, h Harness) {
	s := h.Open()
	small, large := `{"n":1}`, `"`+strings.Repeat("y", 5000)+`"`
	given := newJob(func(c *jobs.Change) { c.Job.Result = jobs.Value(large) })
	must(t, s, given)
	if got := get(t, s, given.Job.ID).Result; string(got) != large {
		t.Errorf("inserted with a result of %d bytes, it has %d", len(large), len(got))
	}
	running := claim(t, s, []string{"k"}, "l1")[0]
	if string(running.Result) != large {
		t.Errorf("claimed with %d bytes of result", len(running.Result))
	}
	for _, value := range []string{small, large, large + " ", small, large} {
		p := progress(running, 50)
		p.Job.Result, p.Fields = jobs.Value(value), p.Fields|jobs.FieldResult
		must(t, s, p)
		if got := get(t, s, running.ID); string(got.Result) != value || got.State != jobs.Running {
			t.Errorf("%s with %d bytes of result, want %d", got.State, len(got.Result), len(value))
		}
		page, err := s.List(t.Context(), jobs.Filter{Tenant: "default", Limit: 1})
		if err != nil || len(page.Jobs) != 1 || (page.Jobs[0].Result != nil) != (value == small) {
			t.Errorf("listed %+v, %v", page.Jobs, err)
		}
	}
	s = h.Crash()
	if got := get(t, s, running.ID); string(got.Result) != large {
		t.Errorf("after a crash, %d bytes of result", len(got.Result))
	}
	end := finish(running, ``)
	end.Job.Result = nil
	must(t, s, end)
	if got := get(t, s, running.ID); got.Result != nil {
		t.Errorf("ended without a result, it has %d bytes", len(got.Result))
	}
}
