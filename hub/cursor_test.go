package hub_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"jobhub/hub"
	"jobhub/jobs"
)

func TestCursorSleepsThroughWhatItDidNotSelect(t *testing.T) {
	log := newLog()
	h := open(t, log, 0)
	c := h.Cursor()
	defer c.Close()
	c.Subscribe("a", toJob(1))
	for range 100 {
		log.commit(event(2, jobs.JobStarted))
	}
	foreign := event(1, jobs.JobStarted)
	foreign.Tenant = "another"
	reach(t, h, log.commit(foreign))
	reads := log.reads
	if awake(c) {
		t.Error("events of another job woke the cursor")
	}
	if got := drained(t, c, math.MaxUint64); got != nil || c.Seq() != 101 {
		t.Errorf("got %v and seq %d, want nothing and 101: a quiet subscription moves forward", got, c.Seq())
	}
	if log.reads != reads {
		t.Error("the log was read for a cursor that nothing concerned")
	}
	reach(t, h, log.commit(event(1, jobs.JobStarted)))
	if !awake(c) {
		t.Error("an event of its job did not wake the cursor")
	}
	if got := drained(t, c, math.MaxUint64); !slices.Equal(got, []uint64{102}) {
		t.Errorf("got %v, want 102", got)
	}
	if awake(c) {
		t.Error("the cursor was woken twice for one event")
	}
}

func TestUnsubscribedCursorIsNotWoken(t *testing.T) {
	log := newLog()
	h := open(t, log, 0)
	c := h.Cursor()
	c.Subscribe("a", toJob(1))
	c.Subscribe("b", toJob(1))
	if !c.Unsubscribe("a") || c.Unsubscribe("a") || c.Subscribed("a") || !c.Subscribed("b") || c.Len() != 1 {
		t.Error("a should be gone, once, and b stay")
	}
	reach(t, h, log.commit(event(1, jobs.JobStarted)))
	if !awake(c) {
		t.Error("b shares its topic with a and was lost with it")
	}
	if got := drained(t, c, math.MaxUint64); !slices.Equal(got, []uint64{1}) {
		t.Errorf("got %v, want 1", got)
	}
	c.Close()
	reach(t, h, log.commit(event(1, jobs.JobStarted)))
	if awake(c) || c.Len() != 0 {
		t.Error("a closed cursor is still woken")
	}
}

func TestSubscribeCoversWhatLiesBehindTheCursor(t *testing.T) {
	for _, ring := range ringSizes {
		log := newLog()
		h := open(t, log, ring)
		c := h.Cursor()
		for i := range 10 {
			log.commit(event(i%2, jobs.JobStarted))
		}
		reach(t, h, 10)
		c.Skip(4)
		c.Subscribe("a", toJob(0))
		if !awake(c) {
			t.Error("there is something for the new subscription and it is not woken")
		}
		if got := drained(t, c, math.MaxUint64); !slices.Equal(got, []uint64{5, 7, 9}) {
			t.Errorf("ring %d: got %v, want 5 7 9", ring, got)
		}
		c.Close()
	}
}

func TestLimitsOfNextAndSkip(t *testing.T) {
	for _, ring := range ringSizes {
		t.Run(fmt.Sprint("ring=", ring), func(t *testing.T) {
			log := newLog()
			h := open(t, log, ring)
			c := h.Cursor()
			defer c.Close()
			c.Subscribe("a", toAll(hub.ProgressAll))
			for range 10 {
				log.commit(event(1, jobs.JobOutput))
			}
			reach(t, h, 10)
			if got := drained(t, c, 3); !slices.Equal(got, []uint64{1, 2, 3}) || c.Seq() != 3 {
				t.Errorf("up to 3: got %v and seq %d", got, c.Seq())
			}
			if got := drained(t, c, 3); got != nil || c.Seq() != 3 {
				t.Errorf("up to 3 again: got %v and seq %d", got, c.Seq())
			}
			if got := drained(t, c, 1); got != nil || c.Seq() != 3 {
				t.Errorf("a limit behind the cursor: got %v and seq %d", got, c.Seq())
			}
			events, more, err := c.Next(t.Context(), math.MaxUint64, 2)
			if err != nil || len(events) != 2 || events[1].Seq != 5 || !more || c.Seq() != 5 {
				t.Errorf("two: got %v, more %v, error %v, seq %d", events, more, err, c.Seq())
			}
			c.Skip(2)
			if c.Seq() != 5 {
				t.Errorf("Skip went back to %d", c.Seq())
			}
			c.Skip(8)
			if got := drained(t, c, math.MaxUint64); !slices.Equal(got, []uint64{9, 10}) {
				t.Errorf("behind Skip(8): got %v, want 9 10", got)
			}
		})
	}
}

// A cursor that was marked and then skipped to the end is at rest.
func TestNothingMoreBehindASkipToTheEnd(t *testing.T) {
	log := newLog()
	h := open(t, log, 0)
	c := h.Cursor()
	defer c.Close()
	c.Subscribe("a", toAll(hub.ProgressAll))
	log.commit(event(1, jobs.JobOutput), event(1, jobs.JobOutput))
	reach(t, h, 2)
	c.Skip(2)
	events, more, err := c.Next(t.Context(), math.MaxUint64, 10)
	if err != nil || more || len(events) > 0 {
		t.Fatalf("got %v, more %v, error %v; an owner that reads until there is no more would never stop", events, more, err)
	}
	reach(t, h, log.commit(event(1, jobs.JobOutput)))
	if got := drained(t, c, math.MaxUint64); !slices.Equal(got, []uint64{3}) {
		t.Errorf("got %v, want 3", got)
	}
}

func TestCursorLearnsThatTheLogWasTrimmed(t *testing.T) {
	log := newLog()
	h := open(t, log, 1)
	c := h.Cursor()
	defer c.Close()
	c.Subscribe("a", toAll(hub.ProgressAll))
	for range 10 {
		log.commit(event(1, jobs.JobOutput))
	}
	reach(t, h, 10)
	log.trim(6)
	if _, _, err := c.Next(t.Context(), math.MaxUint64, 100); !errors.Is(err, jobs.ErrTrimmed) {
		t.Fatalf("got %v, want ErrTrimmed", err)
	}
	if c.Seq() != 0 {
		t.Errorf("the cursor moved to %d; its owner has to know from where the gap is", c.Seq())
	}
	c.Skip(h.Position().Seq)
	log.commit(event(1, jobs.JobOutput))
	reach(t, h, 11)
	if got := drained(t, c, math.MaxUint64); !slices.Equal(got, []uint64{11}) {
		t.Errorf("behind the gap: got %v, want 11", got)
	}
}

// A log can be trimmed past the hub itself. The hub goes on behind the gap, and its
// cursors learn of it.
func TestHubSurvivesATrimPastItself(t *testing.T) {
	log := newLog()
	h := open(t, log, 0)
	c := h.Cursor()
	defer c.Close()
	c.Subscribe("a", toJob(1))
	log.mu.Lock()
	for seq := range uint64(5) {
		e := event(1, jobs.JobOutput)
		e.Seq, e.Tenant = seq+1, tenant
		log.events = append(log.events, &e)
	}
	log.floor = 4
	close(log.grown)
	log.grown = make(chan struct{})
	log.mu.Unlock()
	reach(t, h, 5)
	if _, _, err := c.Next(t.Context(), math.MaxUint64, 100); !errors.Is(err, jobs.ErrTrimmed) {
		t.Fatalf("got %v, want ErrTrimmed", err)
	}
	c.Skip(h.Position().Seq)
	reach(t, h, log.commit(event(1, jobs.JobOutput)))
	if got := drained(t, c, math.MaxUint64); !slices.Equal(got, []uint64{6}) {
		t.Errorf("behind the gap: got %v, want 6", got)
	}
}

func TestProgressModes(t *testing.T) {
	types := []jobs.EventType{jobs.JobStarted, jobs.JobProgress, jobs.JobOutput, jobs.JobProgress, jobs.JobProgress, jobs.JobSucceeded}
	for _, test := range []struct {
		name string
		subs []hub.Subscription
		want []uint64
	}{
		{"latest", []hub.Subscription{toAll(hub.ProgressLatest)}, []uint64{1, 3, 5, 6}},
		{"all", []hub.Subscription{toAll(hub.ProgressAll)}, []uint64{1, 2, 3, 4, 5, 6}},
		{"none", []hub.Subscription{toAll(hub.ProgressNone)}, []uint64{1, 3, 6}},
		{"latest and none", []hub.Subscription{toAll(hub.ProgressLatest), toAll(hub.ProgressNone)}, []uint64{1, 3, 5, 6}},
		{"latest of everything, all of the job", []hub.Subscription{toAll(hub.ProgressLatest), toJob(1)}, []uint64{1, 2, 3, 4, 5, 6}},
		{"none of everything, all of another job", []hub.Subscription{toAll(hub.ProgressNone), toJob(2)}, []uint64{1, 3, 6}},
	} {
		t.Run(test.name, func(t *testing.T) {
			log := newLog()
			h := open(t, log, 0)
			c := h.Cursor()
			defer c.Close()
			for i, s := range test.subs {
				c.Subscribe(fmt.Sprint(i), s)
			}
			for _, typ := range types {
				log.commit(event(1, typ))
			}
			reach(t, h, 6)
			if got := drained(t, c, math.MaxUint64); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestProgressOfDifferentJobsIsNotMerged(t *testing.T) {
	log := newLog()
	h := open(t, log, 0)
	c := h.Cursor()
	defer c.Close()
	c.Subscribe("a", toAll(hub.ProgressLatest))
	for i := range 6 {
		log.commit(event(i%3, jobs.JobProgress))
	}
	reach(t, h, 6)
	if got := drained(t, c, math.MaxUint64); !slices.Equal(got, []uint64{4, 5, 6}) {
		t.Errorf("got %v, want the newest of each job: 4 5 6", got)
	}
}

func TestJSONIsMadeOnceForAll(t *testing.T) {
	log := newLog()
	h := open(t, log, 0)
	var lines [2][]byte
	cursors := []*hub.Cursor{h.Cursor(), h.Cursor()}
	for _, c := range cursors {
		c.Subscribe("a", toAll(hub.ProgressAll))
	}
	reach(t, h, log.commit(event(1, jobs.JobOutput)))
	for i, c := range cursors {
		events, _, err := c.Next(t.Context(), math.MaxUint64, 10)
		if err != nil || len(events) != 1 {
			t.Fatal(events, err)
		}
		lines[i] = events[0].JSON()
		c.Close()
	}
	if &lines[0][0] != &lines[1][0] {
		t.Error("two readers got two encodings of one event")
	}
}
