package storetest

import (
	"fmt"
	"sync"

	"jobhub/jobs"
)

// checkCountersUnderLoad reads counters while jobs change: counters read at a position must
// equal those from a replay of the log up to that position.
func checkCountersUnderLoad(t T, h Harness) {
	s := h.Open()
	type reading struct {
		pos    jobs.Position
		counts [len(jobs.QueueInfo{}.Counts)]int64
	}
	var readings []reading
	done := make(chan struct{})
	failed := make(chan error, 1)
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			queues, pos, err := s.Queues(t.Context(), "default")
			if err != nil {
				failed <- err
				return
			}
			if len(queues) == 1 {
				readings = append(readings, reading{pos, queues[0].Counts})
			} else if pos.Seq > 0 {
				failed <- fmt.Errorf("%d queues at %v", len(queues), pos)
				return
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for range 60 {
		must(t, s, newJob(), newJob())
		for _, j := range claim(t, s, []string{"k"}, "l1", "l2") {
			must(t, s, finish(j, `1`))
		}
	}
	close(done)
	reader.Wait()
	select {
	case err := <-failed:
		t.Fatalf("Queues: %v", err)
	default:
	}
	// The states after each event.
	after := make([][len(jobs.QueueInfo{}.Counts)]int64, 1)
	state := map[jobs.ID]jobs.State{}
	for _, e := range readAll(t, s, 0) {
		counts := after[len(after)-1]
		if was := state[e.Job]; was != 0 {
			counts[was]--
		}
		now := map[jobs.EventType]jobs.State{jobs.JobQueued: jobs.Queued, jobs.JobStarted: jobs.Running, jobs.JobSucceeded: jobs.Succeeded}[e.Type]
		state[e.Job] = now
		counts[now]++
		after = append(after, counts)
	}
	for _, r := range readings {
		if r.counts != after[r.pos.Seq] {
			t.Fatalf("at %d the counters are %v; the log says %v", r.pos.Seq, r.counts, after[r.pos.Seq])
		}
	}
}
