package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"jobhub/jobs"
)

func checkInsert(t T, h Harness) {
	s := h.Open()
	large := jobs.Value(`"` + strings.Repeat("x", 5000) + `"`)
	small := newJob(func(c *jobs.Change) {
		c.Job.Tags, c.Job.Priority, c.Job.Input = []string{"b", "a"}, -7, jobs.Value(`{"n":12345678901234567890.10}`)
		c.Job.ExpiresAt, c.Job.WakeAt = epochStart.Add(time.Minute), epochStart.Add(time.Minute)
		c.Job.RetryOf, c.Job.Parent = c.Job.ID, c.Job.ID
		c.Job.Via = jobs.Via{Upstreams: []string{"http://127.0.0.1:9000"}, Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	})
	big := newJob(func(c *jobs.Change) { c.Job.Input = large })
	must(t, s, small, big)
	for _, c := range []*jobs.Change{small, big} {
		j, pos, err := s.Job(t.Context(), "default", c.Job.ID)
		if err != nil {
			t.Fatalf("Job: %v", err)
		}
		if pos != s.Head() || pos.Seq != 2 {
			t.Errorf("read at %v with head %v", pos, s.Head())
		}
		want := c.Job
		want.N, want.Version, want.Seq = j.N, 1, j.N
		if fmt.Sprintf("%+v", j) != fmt.Sprintf("%+v", want) {
			t.Errorf("stored and read:\n%+v\nwant\n%+v", j, want)
		}
	}
	if small.Job.N != 1 || big.Job.N != 2 || small.Position != 1 || big.Position != 2 {
		t.Errorf("numbers %d %d, positions %d %d", small.Job.N, big.Job.N, small.Position, big.Position)
	}
	if _, _, err := s.Job(t.Context(), "other", small.Job.ID); !errors.Is(err, jobs.ErrNotFound) {
		t.Errorf("another tenant's job: %v", err)
	}
	if _, _, err := s.Job(t.Context(), "default", jobs.ID{1}); !errors.Is(err, jobs.ErrNotFound) {
		t.Errorf("an unknown job: %v", err)
	}
}

func checkCompareAndSet(t T, h Harness) {
	s := h.Open()
	c := newJob()
	must(t, s, c)
	running := claim(t, s, []string{"k"}, "lease-1")[0]
	head := s.Head()

	stale := []*jobs.Change{finish(running, `1`), finish(running, `2`), progress(running, 10), finish(running, `4`)}
	stale[0].If.Lease = "lease-0"
	stale[1].If.Lease = ""
	stale[2].If.State = jobs.Queued
	stale[3].Job.N += 1000
	for i, ch := range stale {
		commit(t, s, ch)
		if !errors.Is(ch.Err, jobs.ErrConflict) {
			t.Errorf("stale change %d: %v, want ErrConflict", i, ch.Err)
		}
	}
	if s.Head() != head {
		t.Errorf("refused changes left events: head %v, was %v", s.Head(), head)
	}
	if j := get(t, s, running.ID); j.State != jobs.Running || j.Version != 2 || j.Progress != nil {
		t.Errorf("refused changes changed the job: %+v", j)
	}

	report, end, late := progress(running, 50), finish(running, `{"ok":true}`), finish(running, `"late"`)
	late.Job.State = jobs.Failed
	commit(t, s, report, end, late) // in one commit, the first end counts
	if report.Err != nil || end.Err != nil || !errors.Is(late.Err, jobs.ErrConflict) {
		t.Errorf("outcomes %v, %v, %v", report.Err, end.Err, late.Err)
	}
	j := get(t, s, running.ID)
	if j.State != jobs.Succeeded || j.Lease != "" || j.Version != 3 || string(j.Result) != `{"ok":true}` || *j.Progress.Percent != 50 {
		t.Errorf("after its end: %+v", j)
	}

	again := newJob()
	must(t, s, again)
	running = claim(t, s, []string{"k"}, "lease-2")[0]
	end = finish(running, ``)
	end.Job.Result, end.Job.Response = nil, &jobs.Response{Status: 404, Header: http.Header{"X-A": {"1", "2"}}, Body: []byte("no\x00such\nthing")}
	must(t, s, end)
	r := get(t, s, running.ID).Response
	if r == nil || r.Status != 404 || !slices.Equal(r.Header["X-A"], []string{"1", "2"}) || !bytes.Equal(r.Body, []byte("no\x00such\nthing")) {
		t.Errorf("response %+v", r)
	}
}

func checkClaim(t T, h Harness) {
	s := h.Open()
	with := func(queue, kind string, priority int) *jobs.Change {
		return newJob(func(c *jobs.Change) { c.Job.Queue, c.Job.Kind, c.Job.Priority = queue, kind, priority })
	}
	a, b, c, d, e := with("q1", "k1", 0), with("q2", "k2", 5), with("q1", "k1", 0), with("q2", "k3", 100), with("q3", "k1", -1)
	later := newJob(scheduled(epochStart.Add(time.Hour)))
	must(t, s, a, b, c, d, e, later)
	got := claim(t, s, []string{"k1", "k2", "k"}, "l1", "l2", "l3")
	want := []*jobs.Change{b, a, c}
	for i := range want {
		if i >= len(got) || got[i].ID != want[i].Job.ID || got[i].Lease != fmt.Sprintf("l%d", i+1) {
			t.Fatalf("claim %d: %+v", i, got)
		}
		if j := got[i]; j.State != jobs.Running || j.Attempt != 1 || j.Start != 1 || !j.StartedAt.Equal(epochStart) || string(j.Input) != `{"n":1}` || j.Version != 2 {
			t.Errorf("claimed %+v", j)
		}
	}
	if got = claim(t, s, []string{"k1", "k2", "k"}, "l4", "l5"); len(got) != 1 || got[0].ID != e.Job.ID {
		t.Errorf("claiming the remaining jobs: %+v", got)
	}
	if got = claim(t, s, []string{"k1", "k2", "k"}, "l6"); len(got) != 0 {
		t.Errorf("claimed twice: %+v", got)
	}
	// A commit can claim the jobs that it makes ready.
	f := with("q9", "k9", 0)
	cl := &jobs.Claim{Kinds: []string{"k9"}, Leases: []string{"l7"}}
	if err := s.Commit(t.Context(), &jobs.Batch{Now: epochStart, Changes: []*jobs.Change{f}, Claims: []*jobs.Claim{cl}}); err != nil || len(cl.Jobs) != 1 {
		t.Errorf("submit and claim in one commit: %v, %+v", err, cl.Jobs)
	}
}

func checkKey(t T, h Harness) {
	s := h.Open()
	keyed := func(print string, until time.Time) *jobs.Change {
		return newJob(func(c *jobs.Change) {
			c.Key = &jobs.Key{Scope: "default /v1/jobs", Key: "abc", Fingerprint: []byte(print), Until: until}
		})
	}
	first, twin := keyed("one", epochStart.Add(time.Hour)), keyed("one", epochStart.Add(time.Hour))
	commit(t, s, first, twin) // two in one commit insert one job
	expect := func(c *jobs.Change, same bool) {
		t.Helper()
		taken, ok := errors.AsType[*jobs.KeyTaken](c.Err)
		if !ok || taken.Job.ID != first.Job.ID || taken.Same != same {
			t.Fatalf("a submission with a used key: %v (%+v)", c.Err, taken)
		}
	}
	expect(twin, true)
	s = h.Crash() // a key is stored in the same transaction as its job
	again, other := keyed("one", epochStart.Add(time.Hour)), keyed("two", epochStart.Add(time.Hour))
	commit(t, s, again, other)
	expect(again, true)
	expect(other, false)
	if head := s.Head(); head.Seq != 1 {
		t.Errorf("repeated submissions left events: head %v", head)
	}
	elsewhere := keyed("one", epochStart)
	elsewhere.Key.Scope = "other /v1/jobs"
	must(t, s, elsewhere)
	// After its time a key is still kept until its job is final.
	late := keyed("one", epochStart)
	b := &jobs.Batch{Now: epochStart.Add(2 * time.Hour), Changes: []*jobs.Change{late}}
	if err := s.Commit(t.Context(), b); err != nil {
		t.Fatalf("Commit: %v", err)
	}
	expect(late, true)
	must(t, s, finish(claim(t, s, []string{"k"}, "l")[0], `1`))
	b.Changes[0] = keyed("one", epochStart)
	if err := s.Commit(t.Context(), b); err != nil || b.Changes[0].Err != nil {
		t.Errorf("a key after its time: %v, %v", err, b.Changes[0].Err)
	}
}

func dueJobs(t T, s jobs.Store, at time.Time, limit int) jobs.Page {
	t.Helper()
	page, err := s.List(t.Context(), jobs.Filter{Due: at, Limit: limit})
	if err != nil {
		t.Fatalf("listing due jobs: %v", err)
	}
	return page
}

func checkDue(t T, h Harness) {
	s := h.Open()
	a, b, c := newJob(scheduled(epochStart.Add(3*time.Second))), newJob(scheduled(epochStart.Add(time.Second))), newJob(scheduled(epochStart.Add(2*time.Second)))
	must(t, s, a, b, c, newJob())
	page := dueJobs(t, s, epochStart.Add(2*time.Second), 10)
	if due := page.Jobs; len(due) != 2 || due[0].ID != b.Job.ID || due[1].ID != c.Job.ID || !page.Wake.Equal(epochStart.Add(3*time.Second)) {
		t.Fatalf("due: %+v, then %v", due, page.Wake)
	}
	ch := &jobs.Change{Job: page.Jobs[0], If: jobs.Condition{State: jobs.Scheduled}, Fields: jobs.FieldState | jobs.FieldWake, Event: jobs.Event{Type: jobs.JobQueued, Data: jobs.Value(`{}`)}}
	ch.Job.State, ch.Job.WakeAt = jobs.Queued, time.Time{}
	must(t, s, ch)
	if page = dueJobs(t, s, epochStart.Add(2*time.Second), 1); len(page.Jobs) != 1 || page.Jobs[0].ID != c.Job.ID || !page.Wake.Equal(epochStart.Add(3*time.Second)) {
		t.Errorf("after one was queued: %+v, then %v", page.Jobs, page.Wake)
	}
	if got := claim(t, s, []string{"k"}, "l1", "l2", "l3"); len(got) != 2 {
		t.Errorf("ready: %d jobs, want 2", len(got))
	}
}

func checkList(t T, h Harness) {
	s := h.Open()
	var all []*jobs.Change
	for i := range 25 {
		all = append(all, newJob(func(c *jobs.Change) {
			c.Job.Queue, c.Job.Kind = fmt.Sprintf("q%d", i%2), fmt.Sprintf("k%d", i%3)
			c.Job.Tags = []string{fmt.Sprintf("t%d", i%5)}
			if i%4 == 3 {
				c.Job.Parent = all[0].Job.ID
			}
			if i == 7 {
				c.Job.Input = jobs.Value(`"` + strings.Repeat("y", jobs.SmallPayload) + `"`)
			}
			if i%10 == 9 {
				scheduled(epochStart.Add(time.Hour))(c)
			}
		}))
	}
	must(t, s, all...)
	foreign := newJob(func(c *jobs.Change) { c.Job.Tenant = "other" })
	must(t, s, foreign)
	ids := []jobs.ID{foreign.Job.ID, newJob().Job.ID, all[20].Job.ID, all[20].Job.ID} // one of another tenant, one that does not exist, one twice
	for i := 1; i < len(all); i += 2 {
		ids = append(ids, all[i].Job.ID)
	}
	for name, f := range map[string]struct {
		jobs.Filter
		want func(i int) bool
	}{
		"all":             {jobs.Filter{}, func(i int) bool { return true }},
		"queue":           {jobs.Filter{Queue: "q1"}, func(i int) bool { return i%2 == 1 }},
		"kind":            {jobs.Filter{Kind: "k2"}, func(i int) bool { return i%3 == 2 }},
		"state":           {jobs.Filter{States: []jobs.State{jobs.Scheduled}}, func(i int) bool { return i%10 == 9 }},
		"states":          {jobs.Filter{States: []jobs.State{jobs.Scheduled, jobs.Queued}, Queue: "q1", Kind: "k0"}, func(i int) bool { return i%2 == 1 && i%3 == 0 }},
		"tag":             {jobs.Filter{Tag: "t4", Queue: "q0", States: []jobs.State{jobs.Queued}}, func(i int) bool { return i%5 == 4 && i%2 == 0 && i%10 != 9 }},
		"parent":          {jobs.Filter{Parent: all[0].Job.ID}, func(i int) bool { return i%4 == 3 }},
		"ids":             {jobs.Filter{IDs: ids}, func(i int) bool { return i%2 == 1 || i == 20 }},
		"ids of a state":  {jobs.Filter{IDs: ids, States: []jobs.State{jobs.Scheduled}, Queue: "q1"}, func(i int) bool { return i%10 == 9 }},
		"ids with a tag":  {jobs.Filter{IDs: ids, Tag: "t4", Kind: "k0"}, func(i int) bool { return i%2 == 1 && i%5 == 4 && i%3 == 0 }},
		"ids with a text": {jobs.Filter{IDs: ids, Text: "K2"}, func(i int) bool { return (i%2 == 1 || i == 20) && i%3 == 2 }},
		"an unknown id":   {jobs.Filter{IDs: []jobs.ID{newJob().Job.ID}}, func(i int) bool { return false }},
		"none":            {jobs.Filter{Queue: "unknown"}, func(i int) bool { return false }},
	} {
		var want []jobs.ID
		for i := range slices.Backward(all) {
			if f.want(i) {
				want = append(want, all[i].Job.ID)
			}
		}
		f.Tenant, f.Limit = "default", 4
		var got []jobs.ID
		for pages := 0; pages < 20; pages++ {
			page, err := s.List(t.Context(), f.Filter)
			if err != nil {
				t.Fatalf("List %s: %v", name, err)
			}
			if page.Pos != s.Head() || len(page.Jobs) > 4 {
				t.Errorf("%s: %d jobs at %v", name, len(page.Jobs), page.Pos)
			}
			for _, j := range page.Jobs {
				got = append(got, j.ID)
				if j.ID == all[7].Job.ID && j.Input != nil {
					t.Errorf("%s: a large input is in the list", name)
				}
			}
			if f.Before = page.Next; page.Next == 0 {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("List %s: %d jobs, want %d, or in another order", name, len(got), len(want))
		}
	}
}

func checkCounters(t T, h Harness) {
	s := h.Open()
	must(t, s, newJob(), newJob(), newJob(scheduled(epochStart.Add(time.Hour))), newJob(func(c *jobs.Change) { c.Job.Queue = "z" }))
	got := claim(t, s, []string{"k"}, "l1")
	wrong := finish(got[0], `1`)
	wrong.If.Lease = "other"
	commit(t, s, wrong)
	must(t, s, finish(got[0], `1`))
	expect := func() {
		t.Helper()
		queues, pos, err := s.Queues(t.Context(), "default")
		if err != nil || len(queues) != 2 || queues[0].Name != "q" || queues[1].Name != "z" || pos != s.Head() {
			t.Fatalf("Queues: %+v at %v, %v", queues, pos, err)
		}
		q := queues[0].Counts
		if q[jobs.Queued] != 1 || q[jobs.Scheduled] != 1 || q[jobs.Running] != 0 || q[jobs.Succeeded] != 1 || !queues[0].OldestAt.Equal(epochStart) {
			t.Errorf("counters %+v", queues[0])
		}
	}
	expect()
	s = h.Crash()
	expect()
}

func checkEdges(t T, h Harness) {
	s := h.Open()
	if head := s.Head(); head.Seq != 0 || head.Epoch == "" {
		t.Errorf("an empty log has its head at %v", head)
	}
	if events := readAll(t, s, 0); len(events) != 0 {
		t.Errorf("an empty log has events")
	}
	must(t, s, newJob(), newJob())
	for _, seq := range []uint64{3, 1000, 1 << 63, 1<<64 - 1} {
		if events, err := s.Read(t.Context(), jobs.ReadQuery{After: seq}); !errors.Is(err, jobs.ErrAhead) || len(events) > 0 {
			t.Errorf("Read after %d, which is after the head: %d events, %v", seq, len(events), err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Wait(ctx, 2); err == nil {
		t.Errorf("Wait at the head returned although there was no new event")
	}
	if err := s.Wait(ctx, 1); err != nil {
		t.Errorf("Wait before the head: %v", err)
	}
	large := newJob(func(c *jobs.Change) { c.Event.Data, c.Event.Truncated = nil, true })
	must(t, s, large)
	if e := readAll(t, s, 2)[0]; !e.Truncated || e.Data != nil {
		t.Errorf("a truncated event: %+v", e)
	}
}

func checkCrash(t T, h Harness) {
	s := h.Open()
	c := newJob()
	must(t, s, c)
	run := claim(t, s, []string{"k"}, "l1")
	must(t, s, progress(run[0], 30))
	before := s.Head()
	s = h.Crash()
	if s.Head() != before {
		t.Errorf("head %v after a crash, was %v", s.Head(), before)
	}
	if j := get(t, s, c.Job.ID); j.State != jobs.Running || j.Lease != "l1" || *j.Progress.Percent != 30 {
		t.Errorf("after a crash: %+v", j)
	}
	must(t, s, finish(run[0], `1`), newJob())
	s = h.Crash()
	if n := len(readAll(t, s, 0)); n != 5 {
		t.Errorf("%d events after two crashes, want 5", n)
	}
	if got := claim(t, s, []string{"k"}, "l2", "l3"); len(got) != 1 {
		t.Errorf("ready after a crash: %d jobs, want 1", len(got))
	}
}
