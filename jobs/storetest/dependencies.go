package storetest

import (
	"errors"
	"jobhub/jobs"
	"slices"
)

func checkAfter(t T, h Harness) {
	s := h.Open()
	a, b := newJob(), newJob()
	must(t, s, a, b)
	waiting := func(parents ...*jobs.Change) *jobs.Change {
		return newJob(func(c *jobs.Change) {
			c.Job.State, c.Event.Type = jobs.Waiting, jobs.JobWaiting
			for _, p := range parents {
				c.After = append(c.After, p.Job.ID)
			}
		})
	}
	both, one := waiting(a, b), waiting(a)
	must(t, s, both, one)
	due := func() (list []jobs.ID) {
		for _, j := range dueJobs(t, s, epochStart, 10).Jobs {
			list = append(list, j.ID)
			if want := j.ID == both.Job.ID && b.Job.State == jobs.Failed; j.DependencyFailed != want {
				t.Errorf("job %s: a parent failed: %v", j.ID, j.DependencyFailed)
			}
		}
		return list
	}
	if d := due(); len(d) != 0 {
		t.Errorf("due before anything ended: %v", d)
	}
	run := claim(t, s, []string{"k"}, "l1", "l2")
	batch := &jobs.Batch{Now: epochStart, Changes: []*jobs.Change{finish(run[0], `1`)}}
	if err := s.Commit(t.Context(), batch); err != nil || !batch.Woken {
		t.Fatalf("the end of a job that others wait for: woken %v, %v", batch.Woken, err)
	}
	s = h.Crash()
	if d := due(); !slices.Equal(d, []jobs.ID{one.Job.ID}) {
		t.Errorf("due after the first end: %v", d)
	}
	end := finish(run[1], `1`)
	end.Job.State, b.Job.State = jobs.Failed, jobs.Failed
	must(t, s, end)
	if d := due(); len(d) != 2 {
		t.Errorf("due after the second end: %v", d)
	}
	// Jobs that waited for one that did not succeed can still be listed.
	for name, f := range map[string]struct {
		jobs.Filter
		want []jobs.ID
	}{
		"after one that failed":    {jobs.Filter{DependsOn: b.Job.ID}, []jobs.ID{both.Job.ID}},
		"after one that succeeded": {jobs.Filter{DependsOn: a.Job.ID}, nil},
		"ahead":                    {jobs.Filter{DependencyOf: both.Job.ID}, []jobs.ID{b.Job.ID}},
		"ahead, of a state":        {jobs.Filter{DependencyOf: both.Job.ID, States: []jobs.State{jobs.Queued}}, nil},
	} {
		page, err := s.List(t.Context(), f.Filter)
		var got []jobs.ID
		for _, j := range page.Jobs {
			got = append(got, j.ID)
		}
		if err != nil || !slices.Equal(got, f.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	// A job that waits for one that has ended is due at once.
	late, lost := waiting(a), waiting(b)
	must(t, s, late, lost)
	if !late.Job.WakeAt.Equal(epochStart) || !lost.Job.WakeAt.Equal(epochStart) || !get(t, s, lost.Job.ID).DependencyFailed || get(t, s, late.Job.ID).DependencyFailed {
		t.Errorf("waiting for jobs that have ended: %+v, %+v", late.Job, lost.Job)
	}
	unknown := waiting(newJob())
	commit(t, s, unknown)
	if _, ok := errors.AsType[*jobs.UnknownDependency](unknown.Err); !ok {
		t.Errorf("waiting for an unknown job: %v", unknown.Err)
	}
}
