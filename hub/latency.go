package hub

import (
	"math/bits"
	"sync"
	"time"

	"jobhub/hub/quantile"
	"jobhub/jobs"
)

const (
	maxTracked = 30_000 // waiting jobs, and as many running ones, whose times are measured; others are left out (see tracked)
	maxTimed   = 128    // tenants, some 73 KiB each, and four times as many queues, 13 KiB each
	steps      = 27     // of a histogram: the last one begins at 2^26 ms, about 18 hours
)

// Latencies measures how long jobs wait and run from their events: a histogram for each
// tenant and bucket, as a Meter has them.
type Latencies struct {
	mu      sync.Mutex // protects the fields below
	tenants map[string]*seriesSet[latencies]
	queues  map[meterKey]*timeSeries[latencies] // by the minute
	waits   tracked
	runs    tracked
}

// latencies are the times of the jobs that started, or stopped running, in one bucket.
type latencies struct{ wait, run histogram }

// histogram counts durations; step i ends at 2^i ms.
type histogram [steps]uint32

func (l *Latencies) count(e *jobs.Event) {
	switch e.Type {
	case jobs.JobQueued, jobs.JobStarted, jobs.JobSucceeded, jobs.JobFailed, jobs.JobCancelled, jobs.JobRetrying, jobs.JobScheduled:
	default:
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tenants == nil {
		l.waits, l.runs = newTracked(), newTracked()
		l.tenants, l.queues = map[string]*seriesSet[latencies]{}, map[meterKey]*timeSeries[latencies]{}
	}
	queued, waited := l.waits.remove(e.Job)
	began, ran := l.runs.remove(e.Job)
	started := e.Type == jobs.JobStarted
	switch {
	case started:
		l.runs.add(e)
	case e.Type == jobs.JobQueued:
		l.waits.add(e)
	}
	var count func(*latencies)
	switch {
	case waited && started:
		count = func(t *latencies) { t.wait.add(e.At.Sub(queued)) }
	case ran && !started:
		count = func(t *latencies) { t.run.add(e.At.Sub(began)) }
	default: // a job that never started has no wait
		return
	}
	t := l.tenants[e.Tenant]
	if t == nil {
		evictQuietest(l.tenants, maxTimed, (*seriesSet[latencies]).lastActive)
		t = newSeriesSet[latencies](e.At)
		l.tenants[e.Tenant] = t
	}
	t.update(e.At, count)
	k := meterKey{e.Tenant, e.Queue}
	q := l.queues[k]
	if q == nil {
		evictQuietest(l.queues, 4*maxTimed, (*timeSeries[latencies]).lastActive)
		q = newTimeSeries[latencies](e.At, Minutes)
		l.queues[k] = q
	}
	q.advance(e.At)
	count(q.nthNewest(0))
}

func (h *histogram) add(d time.Duration) {
	h[min(bits.Len64(uint64(max(0, d.Milliseconds()))), steps-1)]++
}

// Quantiles are of the jobs that started (Wait) or stopped running (Run) in some time;
// negative where there was none.
type Quantiles struct{ Wait50, Wait95, Run50, Run95 time.Duration }

// Series returns the quantiles of as many spans of merge buckets as are kept, the
// oldest first; the last span is still filling.
func (l *Latencies) Series(tenant string, r Resolution, merge int, now time.Time) []Quantiles {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.tenants[tenant]; t != nil {
		return quantiles(&t[r], merge, now)
	}
	return quantiles(newTimeSeries[latencies](now, r), merge, now)
}

// OfQueue returns the quantiles of a queue for each minute of the last hour, the oldest
// first.
func (l *Latencies) OfQueue(tenant, queue string, now time.Time) []Quantiles {
	l.mu.Lock()
	defer l.mu.Unlock()
	if q := l.queues[meterKey{tenant, queue}]; q != nil {
		return quantiles(q, 1, now)
	}
	return quantiles(newTimeSeries[latencies](now, Minutes), 1, now)
}

func quantiles(of *timeSeries[latencies], merge int, now time.Time) []Quantiles {
	of = of.asOf(now)
	out := make([]Quantiles, of.of.Buckets()/merge)
	for i := range out {
		var wait, run histogram
		for k := range merge {
			at := of.nthNewest((len(out)-1-i)*merge + k)
			wait.merge(&at.wait)
			run.merge(&at.run)
		}
		out[i] = Quantiles{wait.quantile(.5), wait.quantile(.95), run.quantile(.5), run.quantile(.95)}
	}
	return out
}

func (h *histogram) merge(o *histogram) {
	for i, n := range o {
		h[i] += n
	}
}

// quantile interpolates within the step that holds the quantile; -1 if the histogram is
// empty.
func (h *histogram) quantile(q float64) time.Duration {
	i, part := quantile.Step(h[:], q)
	if i < 0 {
		return -1
	}
	low, high := 0.0, 1.0
	if i > 0 {
		low, high = float64(uint64(1)<<(i-1)), float64(uint64(1)<<i)
	}
	return time.Duration((low + (high-low)*part) * float64(time.Millisecond))
}
