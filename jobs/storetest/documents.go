package storetest

import (
	"errors"
	"strings"

	"jobhub/jobs"
)

func checkDocuments(t T, h Harness) {
	s := h.Open()
	write := func(tenant, kind, name, was, data string) error {
		d := &jobs.DocumentChange{Document: jobs.Document{Tenant: tenant, Kind: kind, Name: name}}
		if was != "" {
			d.Was = jobs.Value(was)
		}
		if data != "" {
			d.Data = jobs.Value(data)
		}
		if err := s.Commit(t.Context(), &jobs.Batch{Now: epochStart, Documents: []*jobs.DocumentChange{d}}); err != nil {
			t.Fatalf("Commit: %v", err)
		}
		return d.Err
	}
	expect := func(tenant, want string) {
		t.Helper()
		list, err := s.Documents(t.Context(), tenant, "k")
		if err != nil {
			t.Fatalf("Documents: %v", err)
		}
		var got []string
		for _, d := range list {
			if d.Kind != "k" {
				t.Errorf("a document of kind %s", d.Kind)
			}
			got = append(got, d.Tenant+"/"+d.Name+"="+string(d.Data))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("documents of %q: %v, want %s", tenant, got, want)
		}
	}
	for i, step := range []struct {
		tenant, kind, name, was, data string
		want                          error
	}{
		{"a", "k", "y", "", `1`, nil},
		{"a", "k", "x", "", `2`, nil},
		{"b", "k", "x", "", `3`, nil},
		{"a", "other", "x", "", `4`, nil},
		{"a", "k", "x", "", `5`, jobs.ErrConflict},         // it exists already
		{"a", "k", "x", `9`, `5`, jobs.ErrConflict},        // it has another value
		{"a", "k", "z", `9`, `5`, jobs.ErrConflict},        // it does not exist
		{"a", "k", "z", `9`, "", jobs.ErrConflict},         // so it can't be deleted
		{"a", "k", "x", `2`, `{"n":6}`, nil},               // its value was 2
		{"a", "k", "y", `2`, "", jobs.ErrConflict},         // 2 was the value of x
		{"b", "k", "x", `3`, "", nil},                      // deleted
		{"b", "k", "x", `3`, `7`, jobs.ErrConflict},        // it is deleted
		{"b", "k", "x", "", `{"again":true}`, nil},         // created again
		{"a", "k", "x", `{"n":6 }`, `8`, jobs.ErrConflict}, // compared byte for byte
	} {
		if err := write(step.tenant, step.kind, step.name, step.was, step.data); !errors.Is(err, step.want) {
			t.Errorf("step %d: %v, want %v", i, err, step.want)
		}
	}
	for range 2 {
		expect("a", `a/x={"n":6} a/y=1`)
		expect("", `a/x={"n":6} a/y=1 b/x={"again":true}`)
		expect("nobody", "")
		s = h.Crash()
	}
	// A job and a document in one change: both are stored or neither.
	with := func(was, data string) *jobs.Change {
		return newJob(func(c *jobs.Change) {
			c.Document = &jobs.DocumentChange{Document: jobs.Document{Tenant: "a", Kind: "k", Name: "y", Data: jobs.Value(data)}, Was: jobs.Value(was)}
		})
	}
	first, twin := with(`1`, `2`), with(`1`, `3`)
	commit(t, s, first, twin)
	if first.Err != nil || !errors.Is(twin.Err, jobs.ErrConflict) {
		t.Errorf("two jobs with one document: %v, %v", first.Err, twin.Err)
	}
	if err := s.Commit(t.Context(), &jobs.Batch{Now: epochStart, Queues: []*jobs.QueueChange{{Tenant: "default", Name: "q", Settings: jobs.QueueSettings{Capacity: 1}}}}); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	refused := with(`2`, `4`)
	commit(t, s, refused)
	if !errors.Is(refused.Err, jobs.ErrQueueFull) {
		t.Errorf("a job over the capacity: %v", refused.Err)
	}
	s = h.Crash()
	expect("a", `a/x={"n":6} a/y=2`)
	page, err := s.List(t.Context(), jobs.Filter{})
	if err != nil || len(page.Jobs) != 1 || page.Jobs[0].ID != first.Job.ID {
		t.Errorf("jobs with documents: %d, %v", len(page.Jobs), err)
	}
}
