package storetest

import (
	"errors"
	"fmt"
	"jobhub/jobs"
	"strings"
	"time"
)

func checkRetention(t T, h Harness) {
	s := h.Open()
	var ended []jobs.ID
	for i := range 5 {
		c := newJob(func(c *jobs.Change) {
			c.Job.Tags, c.Job.Input = []string{"t"}, jobs.Value(`"`+strings.Repeat("x", 5000)+`"`)
			c.Key = &jobs.Key{Scope: "s", Key: fmt.Sprint(i), Fingerprint: []byte("f"), Until: epochStart}
		})
		must(t, s, c)
		ended = append(ended, c.Job.ID)
	}
	must(t, s, newJob(func(c *jobs.Change) { c.Job.Kind = "stays" }))
	for i, j := range claim(t, s, []string{"k"}, leases("l", 5)...) {
		c := finish(j, `1`)
		c.Fields |= jobs.FieldRetained
		c.Job.RetainedUntil = epochStart.Add(time.Duration(i) * time.Hour)
		must(t, s, c)
	}
	trim := func(limit, want int) {
		t.Helper()
		if n, err := s.Trim(t.Context(), jobs.Trim{Retained: epochStart.Add(150 * time.Minute), Limit: limit}); err != nil || n != want {
			t.Errorf("Trim: %d jobs, %v, want %d", n, err, want)
		}
	}
	trim(2, 2)
	trim(10, 1)
	trim(10, 0)
	s = h.Crash()
	for i, id := range ended {
		if _, _, err := s.Job(t.Context(), "default", id); (i < 3) != errors.Is(err, jobs.ErrGone) {
			t.Errorf("job %d: %v", i, err)
		}
		if _, _, err := s.Job(t.Context(), "other", id); !errors.Is(err, jobs.ErrNotFound) {
			t.Errorf("job %d, asked by another tenant: %v", i, err)
		}
	}
	page, err := s.List(t.Context(), jobs.Filter{Tag: "t"})
	if err != nil || len(page.Jobs) != 2 {
		t.Errorf("%d jobs are left, %v", len(page.Jobs), err)
	}
	queues, _, _ := s.Queues(t.Context(), "default")
	if queues[0].Counts[jobs.Succeeded] != 2 || queues[0].Counts[jobs.Queued] != 1 {
		t.Errorf("counters %+v", queues[0].Counts)
	}
}

func checkRetained(t T, h Harness) {
	s := h.Open()
	earliest := func() time.Time {
		t.Helper()
		page, err := s.List(t.Context(), jobs.Filter{Retained: true})
		if err != nil || len(page.Jobs) != 0 {
			t.Fatalf("asking for the earliest: %d jobs, %v", len(page.Jobs), err)
		}
		return page.Wake
	}
	if at := earliest(); !at.IsZero() {
		t.Errorf("the earliest of no jobs: %v", at)
	}
	must(t, s, newJob(), newJob())
	for i, j := range claim(t, s, []string{"k"}, "l1", "l2") {
		c := finish(j, `1`)
		c.Fields |= jobs.FieldRetained
		c.Job.RetainedUntil = epochStart.Add(time.Duration(2-i) * time.Hour)
		must(t, s, c)
	}
	if at := earliest(); !at.Equal(epochStart.Add(time.Hour)) {
		t.Errorf("the earliest is %v", at)
	}
}
