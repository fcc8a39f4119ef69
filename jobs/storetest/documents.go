package storetest

import (
	"errors"
	"fmt"
	"strings"
	"time"

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
		{"a", "k", "x", "", `5`, jobs.ErrConflict},         // it is there
		{"a", "k", "x", `9`, `5`, jobs.ErrConflict},        // and another
		{"a", "k", "z", `9`, `5`, jobs.ErrConflict},        // it is not there
		{"a", "k", "z", `9`, "", jobs.ErrConflict},         // so it can't go
		{"a", "k", "x", `2`, `{"n":6}`, nil},               // as it was
		{"a", "k", "y", `2`, "", jobs.ErrConflict},         // another one's
		{"b", "k", "x", `3`, "", nil},                      // goes
		{"b", "k", "x", `3`, `7`, jobs.ErrConflict},        // has gone
		{"b", "k", "x", "", `{"again":true}`, nil},         // comes back
		{"a", "k", "x", `{"n":6 }`, `8`, jobs.ErrConflict}, // byte for byte
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
	// With a job: both or neither.
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

func checkSearch(t T, h Harness) {
	s := h.Open()
	large := `"` + strings.Repeat("y", jobs.SmallPayload) + ` NEEDLE"`
	var all []*jobs.Change
	for i := range 60 {
		all = append(all, newJob(func(c *jobs.Change) {
			c.Job.Input = jobs.Value(fmt.Sprintf(`{"n":%d,"name":"Zoë %d"}`, i, i%7))
			if i%20 == 0 {
				c.Job.Input = jobs.Value(large)
			}
			if i%15 == 1 {
				c.Job.Tags = []string{"other", "a Needle in it"}
			}
			if i == 5 {
				c.Job.Kind = "needle.maker"
			}
			c.Job.Queue = fmt.Sprintf("q%d", i%2)
		}))
	}
	must(t, s, all...)
	must(t, s, newJob(func(c *jobs.Change) { c.Job.Tenant, c.Job.Input = "other", jobs.Value(`"needle"`) }))
	failed := claim(t, s, []string{"needle.maker"}, "l")[0]
	end := finish(failed, `1`)
	end.Fields |= jobs.FieldError
	end.Job.Error = &jobs.Problem{Title: "Broken", Detail: "the Spindle stuck"}
	must(t, s, end)
	found := func(f jobs.Filter) (ids []jobs.ID, pages int) {
		t.Helper()
		f.Tenant = "default"
		for pages = 1; ; pages++ {
			page, err := s.List(t.Context(), f)
			if err != nil {
				t.Fatalf("List: %v", err)
			}
			if page.Pos != s.Head() || f.Limit > 0 && len(page.Jobs) > f.Limit || page.Next > 0 && f.Before > 0 && page.Next >= f.Before {
				t.Fatalf("a page of %d jobs at %v, next %d after %d", len(page.Jobs), page.Pos, page.Next, f.Before)
			}
			for _, j := range page.Jobs {
				ids = append(ids, j.ID)
				if len(j.Input) > jobs.SmallPayload {
					t.Errorf("a large input is in the list")
				}
			}
			if f.Before = page.Next; page.Next == 0 {
				return ids, pages
			}
		}
	}
	for name, c := range map[string]struct {
		jobs.Filter
		want func(i int) bool
	}{
		"input, tags and kinds": {jobs.Filter{Text: "nEEdle"}, func(i int) bool { return i%20 == 0 || i%15 == 1 || i == 5 }},
		"in a queue":            {jobs.Filter{Text: "needle", Queue: "q1"}, func(i int) bool { return i%2 == 1 && (i%15 == 1 || i == 5) }},
		"in a state":            {jobs.Filter{Text: "needle", States: []jobs.State{jobs.Succeeded}}, func(i int) bool { return i == 5 }},
		"with a tag":            {jobs.Filter{Text: "needle", Tag: "other"}, func(i int) bool { return i%15 == 1 }},
		"of a kind":             {jobs.Filter{Text: "zoë 5", Kind: "needle.maker"}, func(i int) bool { return i == 5 }},
		"beyond ASCII":          {jobs.Filter{Text: "ZOË 3"}, func(i int) bool { return i%7 == 3 && i%20 != 0 }},
		"an error":              {jobs.Filter{Text: "spindle"}, func(i int) bool { return i == 5 }},
		"an id":                 {jobs.Filter{Text: strings.ToUpper(all[9].Job.ID.String())}, func(i int) bool { return i == 9 }},
		"wildcards are text":    {jobs.Filter{Text: "%"}, func(i int) bool { return false }},
		"nothing":               {jobs.Filter{Text: "haystack"}, func(i int) bool { return false }},
	} {
		var want []jobs.ID
		for i := len(all) - 1; i >= 0; i-- {
			if c.want(i) {
				want = append(want, all[i].Job.ID)
			}
		}
		for _, limit := range []int{1, 2, 500} {
			c.Limit = limit
			if got, _ := found(c.Filter); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s, %d a page: %d jobs, want %d, or in another order", name, limit, len(got), len(want))
			}
		}
	}
	// One call looks at a bounded number of jobs and says where to go on.
	for range jobs.MaxSearched / 500 {
		var more []*jobs.Change
		for range 500 {
			more = append(more, newJob())
		}
		must(t, s, more...)
	}
	page, err := s.List(t.Context(), jobs.Filter{Tenant: "default", Text: "needle"})
	if err != nil || len(page.Jobs) > 0 || page.Next == 0 {
		t.Errorf("after %d jobs without it: %d found, next %d, %v", jobs.MaxSearched, len(page.Jobs), page.Next, err)
	}
	if got, pages := found(jobs.Filter{Text: "spindle"}); len(got) != 1 || pages < 2 {
		t.Errorf("behind %d jobs: %d found in %d pages", jobs.MaxSearched, len(got), pages)
	}
}

// checkPartialResult: a job that runs may have a result already, which grows.
func checkPartialResult(t T, h Harness) {
	s := h.Open()
	c := newJob(func(c *jobs.Change) { c.Job.Caller = "somebody" })
	must(t, s, c)
	run := claim(t, s, []string{"k"}, "l")[0]
	for _, n := range []int{10, 5 * jobs.SmallPayload, 9 * jobs.SmallPayload, 10} {
		part := progress(run, float64(n))
		part.Job.Result, part.Fields = jobs.Value(`"`+strings.Repeat("x", n)+`"`), part.Fields|jobs.FieldResult
		must(t, s, part)
		for range 2 {
			j := get(t, s, c.Job.ID)
			if j.State != jobs.Running || len(j.Result) != n+2 || string(j.Input) != string(c.Job.Input) || j.Caller != "somebody" {
				t.Errorf("with a result of %d bytes: %s, %d bytes, of %q", n, j.State, len(j.Result), j.Caller)
			}
			s = h.Crash()
		}
	}
	b := &jobs.Batch{Now: epochStart.Add(time.Second)}
	back := &jobs.Change{Job: run, If: jobs.Condition{State: jobs.Running, Lease: "l"}, Fields: jobs.FieldState | jobs.FieldLease, Event: jobs.Event{Type: jobs.JobQueued, Data: jobs.Value(`{}`)}}
	back.Job.State, back.Job.Lease = jobs.Queued, ""
	b.Changes = []*jobs.Change{back}
	if err := s.Commit(t.Context(), b); err != nil || back.Err != nil {
		t.Fatalf("queueing again: %v, %v", err, back.Err)
	}
	if again := claim(t, s, []string{"k"}, "l2"); len(again) != 1 || len(again[0].Result) != 12 {
		t.Errorf("the next attempt gets %+v", again)
	}
}
