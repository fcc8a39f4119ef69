package storetest

import (
	"bytes"
	"errors"
	"strings"

	"jobhub/jobs"
)

// withFollower gives a change a Follow function that inserts a job, and records the jobs that Follow got.
func withFollower(c *jobs.Change, got *[]jobs.Job) *jobs.Change {
	c.Follow = func(j *jobs.Job) []*jobs.Change {
		*got = append(*got, *j)
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

// checkFollow checks that the insertions of Follow are stored together with the change, or not at all.
func checkFollow(t T, h Harness) {
	s := h.Open()
	must(t, s, newJob(func(c *jobs.Change) { c.Job.Queue = "followers" }))
	full := &jobs.QueueChange{Tenant: "default", Name: "followers", Settings: jobs.QueueSettings{Capacity: 1}}
	if err := s.Commit(t.Context(), &jobs.Batch{Now: epochStart, Queues: []*jobs.QueueChange{full}}); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	var got []jobs.Job
	large := jobs.Value(`"` + strings.Repeat("x", 3000) + `"`)
	in := withFollower(newJob(func(c *jobs.Change) { c.Job.Input = large }), &got)
	must(t, s, in)
	if len(got) != 1 || got[0].ID != in.Job.ID || got[0].Seq != in.Job.Seq || got[0].Version != 1 {
		t.Fatalf("with an insertion, Follow got %+v", got)
	}

	cl := &jobs.Claim{Kinds: []string{"k"}, Queues: []string{"q"}, Leases: []string{"l1"}, Follow: withFollower(&jobs.Change{}, &got).Follow}
	if err := s.Commit(t.Context(), &jobs.Batch{Now: epochStart, Claims: []*jobs.Claim{cl}}); err != nil || len(cl.Jobs) != 1 {
		t.Fatalf("claim: %v, %d jobs", err, len(cl.Jobs))
	}
	if j := got[len(got)-1]; len(got) != 2 || j.State != jobs.Running || j.Attempt != 1 || !bytes.Equal(j.Input, large) {
		t.Errorf("with a claim, Follow got %d, the last %s with %d bytes", len(got), j.State, len(j.Input))
	}

	running := cl.Jobs[0]
	late := withFollower(finish(running, `1`), &got)
	late.If.Lease = "another"
	twice := withFollower(finish(running, `2`), &got)
	end := withFollower(finish(running, `{"ok":true}`), &got)
	end.Job.Progress = nil // the change does not have the progress reported in the same commit
	commit(t, s, late, progress(running, 40), end, twice)
	if !errors.Is(late.Err, jobs.ErrConflict) || !errors.Is(twice.Err, jobs.ErrConflict) || end.Err != nil {
		t.Fatalf("outcomes %v, %v, %v", late.Err, end.Err, twice.Err)
	}
	j := got[len(got)-1]
	if len(got) != 3 || j.State != jobs.Succeeded || string(j.Result) != `{"ok":true}` || j.Progress == nil || *j.Progress.Percent != 40 || j.Version != 3 || !bytes.Equal(j.Input, large) {
		t.Errorf("with an end, Follow got %d, the last %+v", len(got), j)
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
