package storetest

import (
	"errors"
	"slices"
	"time"

	"jobhub/jobs"
)

// errTaken is what deciders in these checks say.
var errTaken = errors.New("taken")

// peersOf are what a job with that key meets, in newest first.
func peersOf(key string, edit ...func(*jobs.Peers)) (*jobs.Peers, *[]jobs.Job) {
	met := new([]jobs.Job)
	p := &jobs.Peers{UniqueKey: []byte(key), Decide: func(peers []jobs.Job) ([]*jobs.Change, error) {
		*met = peers
		return nil, errTaken
	}}
	for _, e := range edit {
		e(p)
	}
	return p, met
}

func checkPeers(t T, h Harness) {
	s := h.Open()
	unique := func(key string, edit ...func(*jobs.Peers)) (*jobs.Change, *[]jobs.Job) {
		p, met := peersOf(key, edit...)
		return newJob(func(c *jobs.Change) { c.Job.UniqueKey, c.Peers = []byte(key), []*jobs.Peers{p} }), met
	}
	large := jobs.Value(`"` + string(slices.Repeat([]byte("x"), 5000)) + `"`)
	first, _ := unique("a")
	first.Job.Input, first.Job.Unique = large, &jobs.Unique{By: []string{"kind"}, While: "unfinished", Conflict: "return"}
	twin, met := unique("a")
	other, _ := unique("b")
	commit(t, s, first, twin, other) // those of one commit see each other
	if first.Err != nil || twin.Err != errTaken || other.Err != nil {
		t.Fatalf("outcomes %v, %v, %v", first.Err, twin.Err, other.Err)
	}
	if len(*met) != 1 || (*met)[0].ID != first.Job.ID || string((*met)[0].Input) != string(large) || (*met)[0].Unique.By[0] != "kind" {
		t.Errorf("the peer is %+v", *met)
	}
	s = h.Crash()
	foreign, _ := unique("a")
	foreign.Job.Tenant = "other"
	again, _ := unique("a")
	commit(t, s, foreign, again)
	if foreign.Err != nil || again.Err != errTaken || s.Head().Seq != 3 {
		t.Errorf("after a crash: %v, %v, head %v", foreign.Err, again.Err, s.Head())
	}
	running := claim(t, s, []string{"k"}, "l1", "l2", "l3")
	must(t, s, finish(running[0], `1`))
	// The end of a job and a submission in one batch: it is decided as they stand there.
	kept, met := unique("a", func(p *jobs.Peers) { p.Finished = true })
	late, _ := unique("a", func(p *jobs.Peers) { p.Finished, p.Since = true, epochStart })
	next, _ := unique("a")
	commit(t, s, kept, late, next)
	if kept.Err != errTaken || len(*met) != 1 || (*met)[0].State != jobs.Succeeded || late.Err != nil || next.Err != errTaken {
		t.Errorf("after its end: %v, %v, %v", kept.Err, late.Err, next.Err)
	}
	// What the decision changes is changed first.
	replace := newJob(func(c *jobs.Change) {
		c.Job.UniqueKey = []byte("a")
		c.Peers = []*jobs.Peers{{UniqueKey: []byte("a"), Decide: func(peers []jobs.Job) ([]*jobs.Change, error) {
			cancel := &jobs.Change{Job: peers[0], If: jobs.Condition{State: peers[0].State, Version: peers[0].Version}, Fields: jobs.FieldState,
				Event: jobs.Event{Type: jobs.JobCancelled, Data: jobs.Value(`{}`)}}
			cancel.Job.State = jobs.Cancelled
			return []*jobs.Change{cancel}, nil
		}}}
	})
	settings(t, s, jobs.QueueSettings{Capacity: 1}, 0) // the place of the one that is cancelled
	must(t, s, replace)
	if j := get(t, s, late.Job.ID); j.State != jobs.Cancelled {
		t.Errorf("the one that was replaced is %s", j.State)
	}
	queues, _, err := s.Queues(t.Context(), "default")
	if err != nil || queues[0].Counts[jobs.Queued] != 1 || queues[0].Counts[jobs.Cancelled] != 1 {
		t.Errorf("counters %+v, %v", queues[0].Counts, err)
	}
	run := newJob(func(c *jobs.Change) { c.Job.Schedule = "nightly"; c.Job.Queue = "z" })
	p, met := peersOf("")
	p.UniqueKey, p.Schedule = nil, "nightly"
	must(t, s, run)
	second := newJob(func(c *jobs.Change) { c.Job.Schedule, c.Job.Queue, c.Peers = "nightly", "z", []*jobs.Peers{p} })
	commit(t, s, second)
	if second.Err != errTaken || len(*met) != 1 || (*met)[0].ID != run.Job.ID || (*met)[0].Schedule != "nightly" {
		t.Errorf("another run of the schedule: %v, %+v", second.Err, *met)
	}
}

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
		t.Errorf("a retry of what has not ended: %v", early.Err)
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
		t.Errorf("in another way, in the same way, again: %v, %v, %v", other.Err, same.Err, again.Err)
	}
	unknown := retry(jobs.Retry{})
	unknown.Job.RetryOf = jobs.ID{7}
	commit(t, s, unknown)
	if !errors.Is(unknown.Err, jobs.ErrNotFound) {
		t.Errorf("a retry of an unknown job: %v", unknown.Err)
	}
}

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
	late := move(plain, "r") // it was read before
	must(t, s, moved, move(first, "p"), move(fair, "p"))
	commit(t, s, late)
	if !errors.Is(late.Err, jobs.ErrConflict) {
		t.Errorf("a change of a job that has moved on: %v", late.Err)
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
	// In both queues all that can run does: the next of the order, and of the fair key.
	got := claim(t, s, []string{"k"}, leases("l", 9)...)
	if len(got) != 5 || got[0].ID != plain.Job.ID {
		t.Errorf("claimed %s", inputsOf(got))
	}
	// One that was accepted before goes first; one that runs can't be overtaken.
	early, young := in("x", "n", ""), in("y", "n", "")
	must(t, s, early, young)
	must(t, s, move(early, "y"))
	if got = claim(t, s, []string{"k"}, leases("m", 9)...); inputsOf(got) != "xn" {
		t.Errorf("claimed %q of the order", inputsOf(got))
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
	refused := move(older, "y") // behind one that runs and was accepted before
	must(t, s, refused)
	settings(t, s, jobs.QueueSettings{Capacity: 1}, 0)
	must(t, s, newJob())
	full := move(older, "q")
	commit(t, s, full)
	if !errors.Is(full.Err, jobs.ErrQueueFull) || get(t, s, older.Job.ID).Queue != "y" {
		t.Errorf("to a full queue: %v", full.Err)
	}
}

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
		t.Errorf("read after that: %v", err)
	}
	if page, err := s.List(t.Context(), jobs.Filter{Tag: "t"}); err != nil || len(page.Jobs) != 0 {
		t.Errorf("%d jobs with its tag, %v", len(page.Jobs), err)
	}
	if queues, _, err := s.Queues(t.Context(), "default"); err != nil || queues[0].Counts[jobs.Succeeded] != 0 || queues[0].Counts[jobs.Queued] != 1 {
		t.Errorf("counters %+v, %v", queues[0].Counts, err)
	}
	events, err := s.Read(t.Context(), jobs.ReadQuery{Job: c.Job.ID})
	if err == nil && (len(events) != 4 || events[3].Type != jobs.JobDeleted || events[3].Version != 4) {
		t.Errorf("its events %+v", events)
	}
	again := newJob(func(n *jobs.Change) { n.Key = c.Key })
	other := newJob(func(n *jobs.Change) { o := *c.Key; o.Fingerprint, n.Key = []byte("g"), &o })
	commit(t, s, again, other)
	if taken, ok := errors.AsType[*jobs.KeyTaken](other.Err); !errors.Is(again.Err, jobs.ErrGone) || !ok || taken.Same {
		t.Errorf("its key, which outlives it: %v, for another request %v", again.Err, other.Err)
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
		t.Errorf("of no jobs: %v", at)
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
