package hub_test

import (
	"runtime"
	"testing"
	"testing/synctest"

	"jobhub/hub"
	"jobhub/jobs"
)

// A member whose shard comes into being while a sweep waits for a worker is woken for
// what that sweep cuts.
func TestNewShardDuringASweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		h, err := hub.New(t.Context(), hub.Options{Log: log, Pace: -1})
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		var events []jobs.Event
		for i := range runtime.GOMAXPROCS(0) { // whose wakes keep all workers busy
			c := h.Cursor(func() { <-release })
			c.Subscribe("", toJob(100+i))
			defer c.Close()
			events = append(events, event(100+i, jobs.JobQueued))
		}
		log.commit(events...)
		synctest.Wait()
		for range 512 { // one full shard
			c := h.Cursor(func() {})
			c.Subscribe("", toAll(hub.ProgressAll))
			defer c.Close()
		}
		log.commit(event(1, jobs.JobQueued)) // their sweep waits
		synctest.Wait()
		late := newCursor(h)
		defer late.Close()
		late.Subscribe("", toAll(hub.ProgressAll))
		head := log.commit(event(2, jobs.JobQueued))
		synctest.Wait()
		late.awake()
		close(release)
		synctest.Wait()
		if !late.awake() {
			chunk, err := late.Next(t.Context())
			t.Errorf("not woken for %d; Next has %v and %v", head, seqsOf(chunk), err)
		}
		defer h.Close()
	})
}
