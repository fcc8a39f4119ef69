package hub_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
)

// paced runs a test on a hub with a clock of its own and a cursor to all of it.
func paced(t *testing.T, s hub.Subscription, test func(t *testing.T, log *memLog, h *hub.Hub, c *cursor)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		h, err := hub.New(t.Context(), hub.Options{Log: log})
		if err != nil {
			t.Fatal(err)
		}
		c := newCursor(h)
		c.Subscribe("", s)
		test(t, log, h, c)
		c.Close()
		h.Close()
	})
}

// given is what comes without further waiting.
func given(t *testing.T, c *cursor) (seqs []uint64) {
	t.Helper()
	synctest.Wait()
	for {
		chunk, err := c.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if chunk == nil {
			return seqs
		}
		seqs = append(seqs, seqsOf(chunk)...)
	}
}

// Progress and output leave at once after a rest, and then in step with the pace; a
// change of state leaves at once and takes along what waits.
func TestPace(t *testing.T) {
	paced(t, toAll(hub.ProgressLatest), func(t *testing.T, log *memLog, _ *hub.Hub, c *cursor) {
		for _, step := range []struct {
			after time.Duration // of the step before
			event jobs.EventType
			want  []uint64
		}{
			{0, jobs.JobProgress, []uint64{1}},
			{10 * time.Millisecond, jobs.JobProgress, nil},
			{10 * time.Millisecond, jobs.JobOutput, nil},
			{10 * time.Millisecond, jobs.JobProgress, nil},          // replaces 2
			{25 * time.Millisecond, jobs.JobOutput, []uint64{3, 4}}, // which left 5 ms ago
			{44 * time.Millisecond, jobs.JobOutput, nil},
			{0, jobs.JobStarted, []uint64{5, 6, 7}},
			{0, jobs.JobStarted, []uint64{8}},
			{0, jobs.JobOutput, nil},
			{time.Hour, jobs.QueuePaused, []uint64{9, 10}},
		} {
			time.Sleep(step.after)
			log.commit(event(1, step.event))
			if got := given(t, c); !slices.Equal(got, step.want) {
				t.Fatalf("%s: got %v, want %v", step.event, got, step.want)
			}
		}
	})
}

// A pause that nothing follows ends by itself.
func TestPacedEventsAreNotForgotten(t *testing.T) {
	paced(t, toJob(1), func(t *testing.T, log *memLog, _ *hub.Hub, c *cursor) {
		log.commit(event(1, jobs.JobOutput))
		given(t, c)
		log.commit(event(1, jobs.JobOutput))
		if got := given(t, c); got != nil {
			t.Errorf("at once came %v", got)
		}
		c.awake()
		from := time.Now()
		<-c.woken
		if got := given(t, c); !slices.Equal(got, []uint64{2}) || time.Since(from) != 50*time.Millisecond {
			t.Errorf("after %s came %v", time.Since(from), got)
		}
	})
}

// Of a member that takes nothing little is kept; it reads on from the log.
func TestIdleMemberIsLeftBehind(t *testing.T) {
	paced(t, toAll(hub.ProgressAll), func(t *testing.T, log *memLog, h *hub.Hub, c *cursor) {
		given(t, c)
		var want []uint64
		for range 300 {
			e := event(1, jobs.JobStarted)
			e.Data = jobs.Value(`"` + strings.Repeat("x", 8<<10) + `"`)
			want = append(want, log.commit(e))
			synctest.Wait()
		}
		if got := given(t, c); !slices.Equal(got, want) {
			t.Errorf("got %d events, want %d", len(got), len(want))
		}
		if h.Stats.CatchUps.Load() == 0 {
			t.Error("2 MiB were kept for one member")
		}
		if seq, lag := c.Lag(); seq != 300 || lag != 0 {
			t.Errorf("in step, with a lag of %s at %d", lag, seq)
		}
	})
}

func TestLagAndWatchers(t *testing.T) {
	paced(t, toJob(1), func(t *testing.T, log *memLog, h *hub.Hub, c *cursor) {
		other := newCursor(h)
		defer other.Close()
		other.Subscribe("a", toJob(1))
		other.Subscribe("b", toJob(2))
		if n := h.Watchers(toJob(1).Filter); n != 2 {
			t.Errorf("%d watch, want 2", n)
		}
		log.commit(event(1, jobs.JobStarted))
		synctest.Wait()
		time.Sleep(3 * time.Second)
		if _, lag := c.Lag(); lag != 3*time.Second {
			t.Errorf("a cursor that was given nothing lags by %s", lag)
		}
		c.Suspend()
		if _, lag := c.Lag(); lag != 3*time.Second {
			t.Errorf("suspended, it lags by %s", lag)
		}
		if n := h.Watchers(toJob(1).Filter); n != 1 {
			t.Errorf("%d watch, want 1", n)
		}
		given(t, c)
		if _, lag := c.Lag(); lag != 0 {
			t.Errorf("in step it lags by %s", lag)
		}
	})
}
