package storetest

import (
	"bytes"
	"errors"
	"reflect"
	"strings"

	"jobhub/jobs"
)

// following makes a change carry an insertion, and keeps the job that it was told.
func following(c *jobs.Change, told *[]jobs.Job) *jobs.Change {
	c.Follow = func(j *jobs.Job) []*jobs.Change {
		*told = append(*told, *j)
		return []*jobs.Change{newJob(func(f *jobs.Change) { f.Job.Parent, f.Job.Queue = j.ID, "followers" })}
	}
	return c
}

func followers(t T, s jobs.Store, id jobs.ID) []jobs.Job {
	t.Helper()
	page, err := s.List(t.Context(), jobs.Filter{Tenant: "default", Parent: id})
	if err != nil {
		t.Fatalf("List: %v", err)
	}
	return page.Jobs
}

// checkFollow: what follows from a change is stored with it or not at all.
func checkFollow(t T, h Harness) {
	s := h.Open()
	must(t, s, newJob(func(c *jobs.Change) { c.Job.Queue = "followers" }))
	full := &jobs.QueueChange{Tenant: "default", Name: "followers", Settings: jobs.QueueSettings{Capacity: 1}}
	if err := s.Commit(t.Context(), &jobs.Batch{Now: epochStart, Queues: []*jobs.QueueChange{full}}); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	var told []jobs.Job
	large := jobs.Value(`"` + strings.Repeat("x", 3000) + `"`)
	in := following(newJob(func(c *jobs.Change) { c.Job.Input = large }), &told)
	must(t, s, in)
	if len(told) != 1 || told[0].ID != in.Job.ID || told[0].Seq != in.Job.Seq || told[0].Version != 1 {
		t.Fatalf("with an insertion, Follow got %+v", told)
	}

	cl := &jobs.Claim{Kinds: []string{"k"}, Queues: []string{"q"}, Leases: []string{"l1"}, Follow: following(&jobs.Change{}, &told).Follow}
	if err := s.Commit(t.Context(), &jobs.Batch{Now: epochStart, Claims: []*jobs.Claim{cl}}); err != nil || len(cl.Jobs) != 1 {
		t.Fatalf("claim: %v, %d jobs", err, len(cl.Jobs))
	}
	if j := told[len(told)-1]; len(told) != 2 || j.State != jobs.Running || j.Attempt != 1 || !bytes.Equal(j.Input, large) {
		t.Errorf("with a claim, Follow got %d, the last %s with %d bytes", len(told), j.State, len(j.Input))
	}

	running := cl.Jobs[0]
	late := following(finish(running, `1`), &told)
	late.If.Lease = "another"
	twice := following(finish(running, `2`), &told)
	end := following(finish(running, `{"ok":true}`), &told)
	end.Job.Progress = nil // the change does not know of what was reported in the same commit
	commit(t, s, late, progress(running, 40), end, twice)
	if !errors.Is(late.Err, jobs.ErrConflict) || !errors.Is(twice.Err, jobs.ErrConflict) || end.Err != nil {
		t.Fatalf("outcomes %v, %v, %v", late.Err, end.Err, twice.Err)
	}
	j := told[len(told)-1]
	if len(told) != 3 || j.State != jobs.Succeeded || string(j.Result) != `{"ok":true}` || j.Progress == nil || *j.Progress.Percent != 40 || j.Version != 3 || !bytes.Equal(j.Input, large) {
		t.Errorf("with an end, Follow got %d, the last %+v", len(told), j)
	}
	s = h.Crash()
	list := followers(t, s, in.Job.ID)
	if len(list) != 3 {
		t.Fatalf("%d followers are stored, want 3, over the capacity of their queue", len(list))
	}
	seqs := map[uint64]jobs.EventType{}
	for _, e := range readAll(t, s, 0) {
		seqs[e.Seq] = e.Type
	}
	for _, f := range list {
		if seqs[f.N] != jobs.JobQueued || f.State != jobs.Queued {
			t.Errorf("follower %+v, its first event %v", f, seqs[f.N])
		}
	}
	if got := claim(t, s, []string{"k"}, "l2", "l3", "l4", "l5", "l6"); len(got) != 4 {
		t.Errorf("%d of 4 followers can be claimed", len(got))
	}
}

// checkCallbacks: callbacks are kept with the job, and can be changed without an event.
func checkCallbacks(t T, h Harness) {
	s := h.Open()
	list := []jobs.Callback{{URL: "https://a.example/hook", Events: []string{"job.failed"}, Secrets: []jobs.Secret{"whsec_a", "whsec_b"}}, {URL: "https://b.example", Queue: "q"}}
	c := newJob(func(c *jobs.Change) { c.Job.Callbacks = list })
	plain := newJob()
	must(t, s, c, plain)
	settings := &jobs.QueueChange{Tenant: "default", Name: "q", Settings: jobs.QueueSettings{Callbacks: list}}
	if err := s.Commit(t.Context(), &jobs.Batch{Now: epochStart, Queues: []*jobs.QueueChange{settings}}); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	s = h.Crash()
	if got := get(t, s, c.Job.ID).Callbacks; !reflect.DeepEqual(got, list) || get(t, s, plain.Job.ID).Callbacks != nil {
		t.Errorf("callbacks %+v", got)
	}
	queues, _, err := s.Queues(t.Context(), "default")
	if err != nil || len(queues) != 1 || !reflect.DeepEqual(queues[0].Settings.Callbacks, list) {
		t.Errorf("queues %+v, %v", queues, err)
	}
	before, head := get(t, s, c.Job.ID), s.Head()
	quiet := &jobs.Change{Job: before, If: jobs.Condition{State: jobs.Queued}, Fields: jobs.FieldCallbacks}
	quiet.Job.Callbacks = []jobs.Callback{{URL: "https://a.example/hook", Disabled: true}}
	stale := *quiet
	stale.If.State = jobs.Running
	commit(t, s, quiet, &stale)
	if quiet.Err != nil || !errors.Is(stale.Err, jobs.ErrConflict) {
		t.Fatalf("outcomes %v, %v", quiet.Err, stale.Err)
	}
	after := get(t, s, c.Job.ID)
	if !reflect.DeepEqual(after.Callbacks, quiet.Job.Callbacks) || after.Version != before.Version || after.Seq != before.Seq || s.Head() != head {
		t.Errorf("after a change without an event: %+v at %v, before %v", after, s.Head(), head)
	}
	if got := claim(t, s, []string{"k"}, "l1"); len(got) != 1 || !reflect.DeepEqual(got[0].Callbacks, quiet.Job.Callbacks) {
		t.Errorf("claimed %+v", got)
	}
}

// checkPartial: an unfinished job can have a result, small or large, which gives way to
// the next, and of which nothing is left over.
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
