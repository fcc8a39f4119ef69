package storetest

import (
	"errors"
	"jobhub/jobs"
	"slices"
	"time"
)

func checkDelete(t T, h Harness) {
	s := h.Open()
	c := newJob(func(c *jobs.Change) {
		c.Job.Tags, c.Job.Input = []string{"t"}, jobs.Value(`"`+string(slices.Repeat([]byte("x"), 5000))+`"`)
		c.Key = &jobs.Key{Scope: "s", Key: "1", Fingerprint: []byte("f"), Until: epochStart.Add(time.Hour)}
	})
	must(t, s, c, newJob(func(c *jobs.Change) { c.Job.Kind = "stays" }))
	end := finish(claim(t, s, []string{"k"}, "l")[0], `1`)
	must(t, s, end)
	forget := func(state jobs.State) *jobs.Change {
		return &jobs.Change{Job: end.Job, If: jobs.Condition{State: state}, Delete: true, Event: jobs.Event{Type: jobs.JobDeleted, Data: jobs.Value(`{}`)}}
	}
	wrong, right, twice := forget(jobs.Failed), forget(jobs.Succeeded), forget(jobs.Succeeded)
	commit(t, s, wrong, right, twice)
	if !errors.Is(wrong.Err, jobs.ErrConflict) || right.Err != nil || !errors.Is(twice.Err, jobs.ErrConflict) {
		t.Errorf("outcomes %v, %v, %v", wrong.Err, right.Err, twice.Err)
	}
	s = h.Crash()
	if _, _, err := s.Job(t.Context(), "default", c.Job.ID); !errors.Is(err, jobs.ErrGone) {
		t.Errorf("reading a deleted job: %v", err)
	}
	if page, err := s.List(t.Context(), jobs.Filter{Tag: "t"}); err != nil || len(page.Jobs) != 0 {
		t.Errorf("%d jobs with the tag of the deleted job, %v", len(page.Jobs), err)
	}
	if queues, _, err := s.Queues(t.Context(), "default"); err != nil || queues[0].Counts[jobs.Succeeded] != 0 || queues[0].Counts[jobs.Queued] != 1 {
		t.Errorf("counters %+v, %v", queues[0].Counts, err)
	}
	events, err := s.Read(t.Context(), jobs.ReadQuery{Job: c.Job.ID})
	if err == nil && (len(events) != 4 || events[3].Type != jobs.JobDeleted || events[3].Version != 4) {
		t.Errorf("events of the deleted job: %+v", events)
	}
	again := newJob(func(n *jobs.Change) { n.Key = c.Key })
	other := newJob(func(n *jobs.Change) { o := *c.Key; o.Fingerprint, n.Key = []byte("g"), &o })
	commit(t, s, again, other)
	if taken, ok := errors.AsType[*jobs.KeyTaken](other.Err); !errors.Is(again.Err, jobs.ErrGone) || !ok || taken.Same {
		t.Errorf("the key of the deleted job, which is still kept: %v; for another request: %v", again.Err, other.Err)
	}
}
