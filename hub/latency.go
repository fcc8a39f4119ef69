package hub

import (
	"math/bits"
	"sync"
	"time"

	"jobhub/jobs"
)

const (
	maxTracked = 20_000 // unfinished jobs whose times are taken; further ones are left out
	steps      = 27     // of a histogram: its last one begins at 2^26 ms, some 18 hours
)

// Latencies measures how long jobs wait and run, over the last 15 minutes, from their
// events: a histogram for each BucketWidth and tenant.
type Latencies struct {
	mu      sync.Mutex // protects the fields below
	tenants map[string]*latencies
	since   map[jobs.ID]moment
}

// moment is when a job came in line or started.
type moment struct {
	at      time.Time
	running bool
}

// latencies is a ring of histograms; newest is the number of the newest since 1970.
type latencies struct {
	newest    int64
	wait, run [Buckets]histogram
}

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
	was, known := l.since[e.Job]
	delete(l.since, e.Job)
	if e.Type == jobs.JobQueued || e.Type == jobs.JobStarted {
		if l.since == nil {
			l.since, l.tenants = map[jobs.ID]moment{}, map[string]*latencies{}
		}
		if len(l.since) < maxTracked {
			l.since[e.Job] = moment{e.At, e.Type == jobs.JobStarted}
		}
	}
	if !known || was.running == (e.Type == jobs.JobStarted) || (!was.running && e.Type != jobs.JobStarted) {
		return
	}
	t := l.tenants[e.Tenant]
	if t == nil {
		t = &latencies{newest: bucketOf(e.At)}
		l.tenants[e.Tenant] = t
	}
	t.roll(bucketOf(e.At))
	to := &t.wait
	if was.running {
		to = &t.run
	}
	to[t.newest%Buckets].add(e.At.Sub(was.at))
}

// roll empties the buckets between the newest and now.
func (t *latencies) roll(now int64) {
	t.newest = max(t.newest, now-Buckets)
	for t.newest < now {
		t.newest++
		t.wait[t.newest%Buckets], t.run[t.newest%Buckets] = histogram{}, histogram{}
	}
}

func (h *histogram) add(d time.Duration) {
	h[min(bits.Len64(uint64(max(0, d.Milliseconds()))), steps-1)]++
}

// Quantiles are of the jobs that started (Wait) or stopped running (Run) in some time;
// negative where there was none.
type Quantiles struct{ Wait50, Wait95, Run50, Run95 time.Duration }

// Series returns the quantiles of as many spans of merge buckets as are kept, the
// oldest first; the last span is still filling.
func (l *Latencies) Series(tenant string, merge int, now time.Time) []Quantiles {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Quantiles, Buckets/merge)
	t := l.tenants[tenant]
	if t != nil {
		t.roll(bucketOf(now))
	}
	for i := range out {
		var wait, run histogram
		if t != nil {
			for k := range merge {
				at := (t.newest + 1 + int64(i*merge+k)) % Buckets
				wait.merge(&t.wait[at])
				run.merge(&t.run[at])
			}
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

// quantile reads between the limits of the step in which it falls.
func (h *histogram) quantile(q float64) time.Duration {
	var total float64
	for _, n := range h {
		total += float64(n)
	}
	if total == 0 {
		return -1
	}
	rank := q * total
	for i, n := range h {
		if rank > float64(n) {
			rank -= float64(n)
			continue
		}
		low, high := 0.0, 1.0
		if i > 0 {
			low, high = float64(uint64(1)<<(i-1)), float64(uint64(1)<<i)
		}
		return time.Duration((low + (high-low)*rank/float64(n)) * float64(time.Millisecond))
	}
	return -1
}
