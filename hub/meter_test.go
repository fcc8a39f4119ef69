package hub_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
)

// counted sums up what a meter knows of a queue.
func counted(h *hub.Hub, queue string) (sum hub.Bucket) {
	for _, b := range h.Meter.Series(tenant, queue, hub.Fine, time.Now()) {
		sum.In, sum.Done, sum.Failed = sum.In+b.In, sum.Done+b.Done, sum.Failed+b.Failed
	}
	return sum
}

func accepted(i int) jobs.Event {
	e := event(i, jobs.JobQueued)
	e.Version = 1
	return e
}

func TestMeterCountsPerQueue(t *testing.T) {
	inBubble(t, func(t *testing.T, e *easel) {
		foreign := accepted(0)
		foreign.Tenant = "another"
		progress := event(0, jobs.JobProgress)
		progress.Version = 1
		e.log.commit(accepted(0), event(0, jobs.JobQueued), event(0, jobs.JobStarted), progress, event(0, jobs.JobRetrying),
			event(0, jobs.JobSucceeded), accepted(1), accepted(1), event(1, jobs.JobFailed), event(1, jobs.JobCancelled), foreign)
		synctest.Wait()
		for queue, want := range map[string]hub.Bucket{"q0": {In: 1, Done: 1}, "q1": {In: 2, Failed: 1}, "": {In: 3, Done: 1, Failed: 1}, "q9": {}} {
			if got := counted(e.Hub, queue); got != want {
				t.Errorf("queue %q: %+v, want %+v", queue, got, want)
			}
		}
	})
}

func TestMeterForgetsAfterFifteenMinutes(t *testing.T) {
	inBubble(t, func(t *testing.T, e *easel) {
		e.log.commit(accepted(0))
		synctest.Wait()
		span := hub.Buckets * hub.BucketWidth
		time.Sleep(span - hub.BucketWidth)
		if got := counted(e.Hub, "q0"); got.In != 1 {
			t.Errorf("forgotten too early: %+v", got)
		}
		e.log.commit(accepted(1))
		synctest.Wait()
		time.Sleep(hub.BucketWidth)
		if got := counted(e.Hub, "q0"); got.In != 0 {
			t.Errorf("still there after %s: %+v", span, got)
		}
		if got := counted(e.Hub, ""); got.In != 1 {
			t.Errorf("the sum has %+v, want the younger one", got)
		}
		time.Sleep(24 * time.Hour)
		if got := counted(e.Hub, ""); got != (hub.Bucket{}) {
			t.Errorf("a day later: %+v", got)
		}
		e.log.commit(accepted(0))
		synctest.Wait()
		series := e.Meter.Series(tenant, "q0", hub.Fine, time.Now())
		if len(series) != hub.Buckets || series[len(series)-1].In != 1 {
			t.Errorf("after a long pause the newest bucket does not count")
		}
	})
}

func TestRatesAreOfTheLastFullMinute(t *testing.T) {
	inBubble(t, func(t *testing.T, e *easel) {
		for range 24 { // two minutes with one job accepted a second, and half of them done
			for range 5 {
				e.log.commit(accepted(0))
			}
			e.log.commit(event(0, jobs.JobSucceeded), event(0, jobs.JobFailed))
			time.Sleep(hub.BucketWidth)
		}
		synctest.Wait()
		rates := func() hub.Rates {
			r, known := hub.RatesOf(e.Meter.Series(tenant, "q0", hub.Fine, time.Now()))
			if !known {
				t.Error("not known")
			}
			return r
		}
		if got, want := rates(), (hub.Rates{In: 1, Out: 0.4, Failed: 0.2}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		for range 1000 { // in the bucket that is still filling
			e.log.commit(accepted(0))
		}
		synctest.Wait()
		if got := rates(); got.In != 1 {
			t.Errorf("a bucket that is not full counts: %+v", got)
		}
		time.Sleep(2 * time.Minute)
		if got := rates(); got != (hub.Rates{}) {
			t.Errorf("two quiet minutes later: %+v", got)
		}
	})
}

func TestRatesSurviveARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog()
		log.commit(accepted(0), event(0, jobs.JobStarted), event(0, jobs.JobSucceeded))
		time.Sleep(time.Minute)
		h, err := hub.New(t.Context(), hub.Options{Log: log})
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
		if got := counted(h, "q0"); got != (hub.Bucket{In: 1, Done: 1}) {
			t.Errorf("a new hub knows %+v of the log it found", got)
		}
	})
}

// What the finest buckets have forgotten the coarser ones still know.
func TestMeterRemembersADayCoarsely(t *testing.T) {
	inBubble(t, func(t *testing.T, e *easel) {
		sum := func(r hub.Resolution) (n int64) {
			for _, b := range e.Meter.Series(tenant, "q0", r, time.Now()) {
				n += b.In
			}
			return n
		}
		e.log.commit(accepted(0))
		synctest.Wait()
		for _, c := range []struct {
			later                   time.Duration
			fine, minutes, quarters int64
		}{{0, 1, 1, 1}, {30 * time.Minute, 0, 1, 1}, {time.Hour, 0, 0, 1}, {22 * time.Hour, 0, 0, 1}, {time.Hour, 0, 0, 0}} {
			time.Sleep(c.later)
			if f, m, q := sum(hub.Fine), sum(hub.Minutes), sum(hub.Quarters); f != c.fine || m != c.minutes || q != c.quarters {
				t.Errorf("another %s later there are %d, %d and %d, want %+v", c.later, f, m, q, c)
			}
		}
	})
}

// Names of queues come from callers: however many they think of, memory is bounded, the
// busy ones stay, and what was forgotten is unknown, not zero.
func TestMeterIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, e *easel) {
		for i := range 3000 {
			other := accepted(0)
			other.Queue = fmt.Sprintf("q%d", i+1)
			e.log.commit(accepted(0), other)
			if i%100 == 0 {
				time.Sleep(hub.BucketWidth)
			}
		}
		synctest.Wait()
		if got := counted(e.Hub, "q0"); got.In < 100 {
			t.Errorf("the busiest queue has %+v", got)
		}
		if got := counted(e.Hub, "q3000"); got.In != 1 {
			t.Errorf("the newest queue has %+v", got)
		}
		if s := e.Meter.Series(tenant, "q1", hub.Fine, time.Now()); s != nil {
			t.Errorf("a queue that was forgotten has %d buckets", len(s))
		}
		if _, known := hub.RatesOf(e.Meter.Series(tenant, "q1", hub.Fine, time.Now())); known {
			t.Error("the rates of a queue that was forgotten are known")
		}
		known := 0
		for i := range 3000 {
			if e.Meter.Series(tenant, fmt.Sprintf("q%d", i+1), hub.Fine, time.Now()) != nil {
				known++
			}
		}
		if known > 1024 {
			t.Errorf("%d queues are counted", known)
		}
	})
}
