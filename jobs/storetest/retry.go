package storetest

import (
	"errors"
	"jobhub/jobs"
)

func checkRetry(t T, h Harness) {
	s := h.Open()
	old := newJob()
	must(t, s, old)
	retry := func(r jobs.Retry) *jobs.Change {
		return newJob(func(c *jobs.Change) { c.Job.Queue, c.Job.RetryOf, c.Retry = "z", old.Job.ID, &r })
	}
	early := retry(jobs.Retry{})
	commit(t, s, early)
	if !errors.Is(early.Err, jobs.ErrConflict) {
		t.Errorf("a retry of an unfinished job: %v", early.Err)
	}
	must(t, s, finish(claim(t, s, []string{"k"}, "l")[0], `1`))
	first, twin := retry(jobs.Retry{}), retry(jobs.Retry{})
	commit(t, s, first, twin)
	existing, ok := errors.AsType[*jobs.Existing](twin.Err)
	if first.Err != nil || !ok || existing.Job.ID != first.Job.ID {
		t.Fatalf("two at once: %v, %v", first.Err, twin.Err)
	}
	s = h.Crash()
	if j := get(t, s, old.Job.ID); j.RetriedBy != first.Job.ID || j.State != jobs.Succeeded || j.Version != 4 {
		t.Errorf("the old job: %+v", j)
	}
	if events := readAll(t, s, 3); len(events) != 2 || events[0].Job != first.Job.ID || events[1].Type != jobs.JobChanged || events[1].Job != old.Job.ID || events[1].Version != 4 {
		t.Errorf("events %+v", events)
	}
	other, same, again := retry(jobs.Retry{Fingerprint: []byte("x")}), retry(jobs.Retry{Fingerprint: []byte("x")}), retry(jobs.Retry{Force: true})
	commit(t, s, other, same, again)
	if _, ok = errors.AsType[*jobs.Existing](same.Err); other.Err != nil || !ok || again.Err != nil {
		t.Errorf("a retry with another input, one with the same input, one with again: %v, %v, %v", other.Err, same.Err, again.Err)
	}
	unknown := retry(jobs.Retry{})
	unknown.Job.RetryOf = jobs.ID{7}
	commit(t, s, unknown)
	if !errors.Is(unknown.Err, jobs.ErrNotFound) {
		t.Errorf("a retry of an unknown job: %v", unknown.Err)
	}
}
