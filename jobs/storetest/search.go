package storetest

import (
	"fmt"
	"jobhub/jobs"
	"strings"
)

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
	// One call reads a limited number of jobs and returns where to continue.
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
		t.Errorf("after %d jobs: %d found in %d pages", jobs.MaxSearched, len(got), pages)
	}
}
