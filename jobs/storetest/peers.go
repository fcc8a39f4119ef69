package storetest

import (
	"errors"
	"slices"

	"jobhub/jobs"
)

// errTaken is the error of Decide in these checks.
var errTaken = errors.New("taken")

// peersOf returns Peers with that key. Their Decide records the peers that it gets, newest
// first, and refuses the job.
func peersOf(key string, edit ...func(*jobs.Peers)) (*jobs.Peers, *[]jobs.Job) {
	met := new([]jobs.Job)
	p := &jobs.Peers{UniqueKey: []byte(key), Decide: func(peers []jobs.Job) ([]*jobs.Change, error) {
		*met = peers
		return nil, errTaken
	}}
	for _, e := range edit {
		e(p)
	}
	return p, met
}

func checkPeers(t T, h Harness) {
	s := h.Open()
	unique := func(key string, edit ...func(*jobs.Peers)) (*jobs.Change, *[]jobs.Job) {
		p, met := peersOf(key, edit...)
		return newJob(func(c *jobs.Change) { c.Job.UniqueKey, c.Peers = []byte(key), []*jobs.Peers{p} }), met
	}
	large := jobs.Value(`"` + string(slices.Repeat([]byte("x"), 5000)) + `"`)
	first, _ := unique("a")
	first.Job.Input, first.Job.Unique = large, &jobs.Unique{By: []string{"kind"}, While: "unfinished", Conflict: "return"}
	twin, met := unique("a")
	other, _ := unique("b")
	commit(t, s, first, twin, other) // jobs of one commit are peers, too
	if first.Err != nil || twin.Err != errTaken || other.Err != nil {
		t.Fatalf("outcomes %v, %v, %v", first.Err, twin.Err, other.Err)
	}
	if len(*met) != 1 || (*met)[0].ID != first.Job.ID || string((*met)[0].Input) != string(large) || (*met)[0].Unique.By[0] != "kind" {
		t.Errorf("the peer is %+v", *met)
	}
	s = h.Crash()
	foreign, _ := unique("a")
	foreign.Job.Tenant = "other"
	again, _ := unique("a")
	commit(t, s, foreign, again)
	if foreign.Err != nil || again.Err != errTaken || s.Head().Seq != 3 {
		t.Errorf("after a crash: %v, %v, head %v", foreign.Err, again.Err, s.Head())
	}
	running := claim(t, s, []string{"k"}, "l1", "l2", "l3")
	must(t, s, finish(running[0], `1`))
	// A finished job is a peer only with Finished, and not if it was accepted before Since.
	kept, met := unique("a", func(p *jobs.Peers) { p.Finished = true })
	late, _ := unique("a", func(p *jobs.Peers) { p.Finished, p.Since = true, epochStart })
	next, _ := unique("a")
	commit(t, s, kept, late, next)
	if kept.Err != errTaken || len(*met) != 1 || (*met)[0].State != jobs.Succeeded || late.Err != nil || next.Err != errTaken {
		t.Errorf("after its end: %v, %v, %v", kept.Err, late.Err, next.Err)
	}
	// Changes from Decide are applied before the insertion.
	replace := newJob(func(c *jobs.Change) {
		c.Job.UniqueKey = []byte("a")
		c.Peers = []*jobs.Peers{{UniqueKey: []byte("a"), Decide: func(peers []jobs.Job) ([]*jobs.Change, error) {
			cancel := &jobs.Change{Job: peers[0], If: jobs.Condition{State: peers[0].State, Version: peers[0].Version}, Fields: jobs.FieldState,
				Event: jobs.Event{Type: jobs.JobCancelled, Data: jobs.Value(`{}`)}}
			cancel.Job.State = jobs.Cancelled
			return []*jobs.Change{cancel}, nil
		}}}
	})
	settings(t, s, jobs.QueueSettings{Capacity: 1}, 0) // the new job takes the place of the cancelled one
	must(t, s, replace)
	if j := get(t, s, late.Job.ID); j.State != jobs.Cancelled {
		t.Errorf("the one that was replaced is %s", j.State)
	}
	queues, _, err := s.Queues(t.Context(), "default")
	if err != nil || queues[0].Counts[jobs.Queued] != 1 || queues[0].Counts[jobs.Cancelled] != 1 {
		t.Errorf("counters %+v, %v", queues[0].Counts, err)
	}
	run := newJob(func(c *jobs.Change) { c.Job.Schedule = "nightly"; c.Job.Queue = "z" })
	p, met := peersOf("")
	p.UniqueKey, p.Schedule = nil, "nightly"
	must(t, s, run)
	second := newJob(func(c *jobs.Change) { c.Job.Schedule, c.Job.Queue, c.Peers = "nightly", "z", []*jobs.Peers{p} })
	commit(t, s, second)
	if second.Err != errTaken || len(*met) != 1 || (*met)[0].ID != run.Job.ID || (*met)[0].Schedule != "nightly" {
		t.Errorf("another run of the schedule: %v, %+v", second.Err, *met)
	}
}
