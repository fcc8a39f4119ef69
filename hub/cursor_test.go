package hub_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"jobhub/hub"
	"jobhub/jobs"
)

func TestCursorSleepsThroughWhatItDidNotSelect(t *testing.T) {
	log := newLog()
	h := open(t, log, 0)
	c := newCursor(h)
	defer c.Close()
	c.Subscribe("a", toJob(1))
	for range 100 {
		log.commit(event(2, jobs.JobStarted))
	}
	foreign := event(1, jobs.JobStarted)
	foreign.Tenant = "another"
	reach(t, h, log.commit(foreign))
	reads := log.reads
	if c.awake() {
		t.Error("events of another job woke the cursor")
	}
	if got := live(t, c, 101); got != nil || c.Seq() != 101 {
		t.Errorf("got %v and seq %d, want nothing and 101: a quiet subscription moves forward", got, c.Seq())
	}
	if log.reads != reads {
		t.Error("the log was read for a cursor that nothing concerned")
	}
	log.commit(event(1, jobs.JobStarted))
	<-c.woken
	if got := live(t, c, 102); !slices.Equal(got, []uint64{102}) {
		t.Errorf("got %v, want 102", got)
	}
	if c.awake() {
		t.Error("the cursor was woken twice for one event")
	}
}

func TestUnsubscribedCursorIsNotWoken(t *testing.T) {
	log := newLog()
	h := open(t, log, 0)
	c := newCursor(h)
	c.Subscribe("a", toJob(1))
	c.Subscribe("b", toJob(1))
	if !c.Unsubscribe("a") || c.Unsubscribe("a") || c.Subscribed("a") || !c.Subscribed("b") || c.Len() != 1 {
		t.Error("a should be gone, once, and b stay")
	}
	log.commit(event(1, jobs.JobStarted))
	<-c.woken // b shares its topic with a
	if got := live(t, c, 1); !slices.Equal(got, []uint64{1}) {
		t.Errorf("got %v, want 1", got)
	}
	c.Close()
	reach(t, h, log.commit(event(1, jobs.JobStarted)))
	if c.awake() || c.Len() != 0 {
		t.Error("a closed cursor is still woken")
	}
}

func TestSubscribeCoversWhatLiesBehindTheCursor(t *testing.T) {
	for _, ring := range ringSizes {
		log := newLog()
		h := open(t, log, ring)
		c := newCursor(h)
		for i := range 10 {
			log.commit(event(i%2, jobs.JobStarted))
		}
		reach(t, h, 10)
		c.Skip(4)
		c.Subscribe("a", toJob(0))
		if !c.awake() {
			t.Error("there is something for the new subscription and it is not woken")
		}
		if got := live(t, c, 10); !slices.Equal(got, []uint64{5, 7, 9}) {
			t.Errorf("ring %d: got %v, want 5 7 9", ring, got)
		}
		c.Close()
	}
}

func TestUntilAndSkip(t *testing.T) {
	for _, ring := range ringSizes {
		t.Run(fmt.Sprint("ring=", ring), func(t *testing.T) {
			log := newLog()
			h := open(t, log, ring)
			c := newCursor(h)
			defer c.Close()
			c.Subscribe("a", toAll(hub.ProgressAll))
			for range 10 {
				log.commit(event(1, jobs.JobOutput))
			}
			reach(t, h, 10)
			if got := upTo(t, c, 3); !slices.Equal(got, []uint64{1, 2, 3}) || c.Seq() != 3 {
				t.Errorf("up to 3: got %v and seq %d", got, c.Seq())
			}
			if got := upTo(t, c, 1); got != nil || c.Seq() != 3 {
				t.Errorf("reading up to a position before the cursor: got %v and seq %d", got, c.Seq())
			}
			c.Skip(2)
			if c.Seq() != 3 {
				t.Errorf("Skip went back to %d", c.Seq())
			}
			c.Skip(8)
			if got := live(t, c, 10); !slices.Equal(got, []uint64{9, 10}) {
				t.Errorf("after Skip(8): got %v, want 9 10", got)
			}
			c.Skip(10)
			if chunk, err := c.Next(t.Context()); chunk != nil || err != nil {
				t.Errorf("at the end: got %v and %v", chunk, err)
			}
			if got := live(t, c, log.commit(event(1, jobs.JobOutput))); !slices.Equal(got, []uint64{11}) {
				t.Errorf("got %v, want 11", got)
			}
		})
	}
}

// lost waits for the error of Next.
func lost(t *testing.T, c *cursor) error {
	for {
		if chunk, err := c.Next(t.Context()); err != nil || chunk != nil {
			return err
		}
		select {
		case <-c.woken:
		case <-t.Context().Done():
			return t.Context().Err()
		}
	}
}

func TestCursorLearnsThatTheLogWasTrimmed(t *testing.T) {
	log := newLog()
	h := open(t, log, 1)
	c := newCursor(h)
	defer c.Close()
	c.Subscribe("a", toAll(hub.ProgressAll))
	c.Suspend()
	for range 10 {
		log.commit(event(1, jobs.JobOutput))
	}
	reach(t, h, 10)
	log.trim(6)
	if err := lost(t, c); !errors.Is(err, jobs.ErrTrimmed) {
		t.Fatalf("got %v, want ErrTrimmed", err)
	}
	if c.Seq() != 0 {
		t.Errorf("the cursor moved to %d; its owner has to know from where the gap is", c.Seq())
	}
	c.Skip(h.Position().Seq)
	log.commit(event(1, jobs.JobOutput))
	if got := live(t, c, 11); !slices.Equal(got, []uint64{11}) {
		t.Errorf("after the gap: got %v, want 11", got)
	}
}

// A log can be trimmed past the hub's own position. The hub continues after the gap, and its
// cursors learn of it.
func TestHubSurvivesATrimPastItself(t *testing.T) {
	log := newLog()
	h := open(t, log, 0)
	c := newCursor(h)
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
	if err := lost(t, c); !errors.Is(err, jobs.ErrTrimmed) {
		t.Fatalf("got %v, want ErrTrimmed", err)
	}
	c.Skip(h.Position().Seq)
	if got := live(t, c, log.commit(event(1, jobs.JobOutput))); !slices.Equal(got, []uint64{6}) {
		t.Errorf("after the gap: got %v, want 6", got)
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
			c := newCursor(h)
			defer c.Close()
			for i, s := range test.subs {
				c.Subscribe(fmt.Sprint(i), s)
			}
			for _, typ := range types {
				log.commit(event(1, typ))
			}
			reach(t, h, 6)
			if got := upTo(t, c, 6); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestProgressOfDifferentJobsIsNotMerged(t *testing.T) {
	log := newLog()
	h := open(t, log, 0)
	c := newCursor(h)
	defer c.Close()
	c.Subscribe("a", toAll(hub.ProgressLatest))
	for i := range 6 {
		log.commit(event(i%3, jobs.JobProgress))
	}
	reach(t, h, 6)
	if got := upTo(t, c, 6); !slices.Equal(got, []uint64{4, 5, 6}) {
		t.Errorf("got %v, want the newest of each job: 4 5 6", got)
	}
}

// Cursors with the same subscription are given the same chunks, encoded once.
func TestLotsAreShared(t *testing.T) {
	log := newLog()
	h := open(t, log, 0)
	cursors := []*cursor{newCursor(h), newCursor(h)}
	for _, c := range cursors {
		c.Subscribe("a", toAll(hub.ProgressAll))
		defer c.Close()
		if chunk, err := c.Next(t.Context()); chunk != nil || err != nil {
			t.Fatal(chunk, err)
		}
	}
	log.commit(event(1, jobs.JobOutput))
	var chunks [2]*hub.Chunk
	builds := 0
	for i, c := range cursors {
		<-c.woken
		chunks[i], _ = c.Next(t.Context())
		chunks[i].Encoded(hub.WebSocketFrames, func(*hub.Chunk) []byte { builds++; return nil })
	}
	if chunks[0] != chunks[1] || builds != 1 {
		t.Errorf("two cursors got %p and %p, encoded %d times", chunks[0], chunks[1], builds)
	}
}

// The events of a job past its retention are in the log like others, as long as it
// reaches back.
func TestCursorOfAJobPastItsRetention(t *testing.T) {
	log := newLog()
	h := open(t, log, 1)
	c := newCursor(h)
	defer c.Close()
	c.Subscribe("a", toJob(1))
	c.Suspend()
	log.commit(event(1, jobs.JobStarted), event(2, jobs.JobStarted), event(1, jobs.JobSucceeded), event(2, jobs.JobSucceeded))
	reach(t, h, 4)
	log.gone = jobNamed(1)
	if got := live(t, c, 4); !slices.Equal(got, []uint64{1, 3}) {
		t.Errorf("got %v, want 1 3", got)
	}
}
