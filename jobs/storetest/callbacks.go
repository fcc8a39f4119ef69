package storetest

import (
	"errors"
	"jobhub/jobs"
	"reflect"
)

// checkCallbacks checks that callbacks are stored with the job, and can be changed without an event.
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
