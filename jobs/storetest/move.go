package storetest

import (
	"errors"
	"jobhub/jobs"
	"slices"
)

func checkMove(t T, h Harness) {
	s := h.Open()
	in := func(queue, ordering, key string) *jobs.Change {
		return named(queue+ordering+key, func(j *jobs.Job) {
			j.Queue, j.OrderingKey, j.FairKey, j.Tags = queue, ordering, key, []string{"a", "b"}
		})
	}
	move := func(c *jobs.Change, queue string, edit ...func(*jobs.Change)) *jobs.Change {
		j := get(t, s, c.Job.ID)
		m := &jobs.Change{Job: j, If: jobs.Condition{State: j.State, Version: j.Version}, Fields: jobs.FieldQueue | jobs.FieldState,
			Event: jobs.Event{Type: jobs.JobChanged, Data: jobs.Value(`{}`)}}
		m.Job.Queue = queue
		for _, e := range edit {
			e(m)
		}
		return m
	}
	plain, first, second, fair, behind := in("q", "", ""), in("q", "o", ""), in("q", "o", ""), in("q", "", "f"), in("q", "", "f")
	must(t, s, plain, first, second, fair, behind)
	moved := move(plain, "p", func(c *jobs.Change) {
		c.Fields |= jobs.FieldTags | jobs.FieldPriority
		c.Job.Tags, c.Job.Priority = []string{"b", "c"}, 9
	})
	late := move(plain, "r") // made from an old version of the job
	must(t, s, moved, move(first, "p"), move(fair, "p"))
	commit(t, s, late)
	if !errors.Is(late.Err, jobs.ErrConflict) {
		t.Errorf("a change made from an old version of the job: %v", late.Err)
	}
	s = h.Crash()
	j := get(t, s, plain.Job.ID)
	if j.Queue != "p" || !slices.Equal(j.Tags, []string{"b", "c"}) || j.Priority != 9 || j.Version != 3 {
		t.Errorf("moved: %+v", j)
	}
	events, err := s.Read(t.Context(), jobs.ReadQuery{Job: plain.Job.ID})
	if err != nil || len(events) != 3 || events[1].Queue != "q" || !slices.Equal(events[1].Tags, []string{"a", "b"}) || events[2].Queue != "p" || !slices.Equal(events[2].Tags, j.Tags) {
		t.Errorf("its events: %+v, %v", events, err)
	}
	for tag, want := range map[string]int{"a": 4, "b": 5, "c": 1} {
		if page, err := s.List(t.Context(), jobs.Filter{Tag: tag}); err != nil || len(page.Jobs) != want {
			t.Errorf("%d jobs with the tag %s, %v; want %d", len(page.Jobs), tag, err, want)
		}
	}
	queues, _, err := s.Queues(t.Context(), "default")
	if err != nil || len(queues) != 2 || queues[0].Counts[jobs.Queued] != 3 || queues[1].Counts[jobs.Queued] != 2 {
		t.Errorf("counters: %+v, %v", queues, err)
	}
	// In both queues all jobs that can run do: the next of the ordering key, and of the fair key.
	got := claim(t, s, []string{"k"}, leases("l", 9)...)
	if len(got) != 5 || got[0].ID != plain.Job.ID {
		t.Errorf("claimed %s", inputsOf(got))
	}
	// A job that was accepted before runs first; a running job can't be overtaken.
	early, young := in("x", "n", ""), in("y", "n", "")
	must(t, s, early, young)
	must(t, s, move(early, "y"))
	if got = claim(t, s, []string{"k"}, leases("m", 9)...); inputsOf(got) != "xn" {
		t.Errorf("claimed %q of the ordering key", inputsOf(got))
	}
	older := in("z", "n", "")
	older.Job.State, older.Event.Type = jobs.Scheduled, jobs.JobScheduled
	must(t, s, older)
	must(t, s, finish(got[0], `1`))
	youngest := in("z", "w", "")
	must(t, s, youngest)
	blocked := in("v", "w", "")
	must(t, s, blocked)
	run := claim(t, s, []string{"k"}, leases("n", 9)...)
	if inputsOf(run) != "yn zw vw" {
		t.Fatalf("claimed %q", inputsOf(run))
	}
	refused := move(older, "y") // where a job that was accepted later runs already
	must(t, s, refused)
	settings(t, s, jobs.QueueSettings{Capacity: 1}, 0)
	must(t, s, newJob())
	full := move(older, "q")
	commit(t, s, full)
	if !errors.Is(full.Err, jobs.ErrQueueFull) || get(t, s, older.Job.ID).Queue != "y" {
		t.Errorf("to a full queue: %v", full.Err)
	}
}
