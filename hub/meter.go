package hub

import (
	"sync"
	"time"

	"jobhub/jobs"
)

const (
	// BucketWidth is the finest resolution of a Meter.
	BucketWidth = 5 * time.Second
	// Buckets is how many of that width a Meter keeps: 15 minutes.
	Buckets      = 180
	meterBacklog = 50_000 // events read at the start so that rates survive a restart
	maxSeries    = 1_024  // queues and tenants that are counted, about 8 KiB each; beyond that the quietest are dropped
)

// Bucket counts what happened in one step of time.
type Bucket struct {
	In, Done, Failed int64 // accepted; succeeded; failed
}

// Meter counts jobs per queue, and of all queues of a tenant, from their events: over 15
// minutes, an hour and a day, the more coarsely the longer.
type Meter struct {
	mu      sync.Mutex // protects the fields below
	series  map[meterKey]*seriesSet[Bucket]
	evicted bool // a series was dropped
}

// meterKey is a queue of a tenant; without a name it is all of them.
type meterKey struct{ tenant, queue string }

func (m *Meter) count(e *jobs.Event) {
	var b Bucket
	switch {
	case e.Version == 1 && e.Type.Lasting():
		b.In = 1
	case e.Type == jobs.JobSucceeded:
		b.Done = 1
	case e.Type == jobs.JobFailed:
		b.Failed = 1
	default:
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range [...]meterKey{{e.Tenant, ""}, {e.Tenant, e.Queue}} {
		m.ofLocked(k, e.At).update(e.At, func(at *Bucket) {
			at.In, at.Done, at.Failed = at.In+b.In, at.Done+b.Done, at.Failed+b.Failed
		})
	}
}

// ofLocked is the series of a key, which may have to begin.
func (m *Meter) ofLocked(k meterKey, at time.Time) *seriesSet[Bucket] {
	s := m.series[k]
	if s == nil {
		if m.series == nil {
			m.series = map[meterKey]*seriesSet[Bucket]{}
		}
		m.evicted = evictQuietest(m.series, maxSeries, (*seriesSet[Bucket]).lastActive) || m.evicted
		s = newSeriesSet[Bucket](at)
		m.series[k] = s
	}
	return s
}

// Series returns the buckets of a queue, the oldest first; the last one is still
// filling. An empty queue name means all of the tenant. It is nil if the series was dropped.
func (m *Meter) Series(tenant, queue string, r Resolution, now time.Time) []Bucket {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.series[meterKey{tenant, queue}]
	if s == nil && m.evicted {
		return nil
	}
	out := make([]Bucket, r.Buckets())
	if s != nil {
		of := s[r].asOf(now)
		for i := range out {
			out[len(out)-1-i] = *of.nthNewest(i)
		}
	}
	return out
}

// Rates are averages per second over the last 60 seconds.
type Rates struct{ In, Out, Failed float64 }

// RatesOf averages the last 12 full buckets of a fine series; known is false for a nil
// series.
func RatesOf(series []Bucket) (r Rates, known bool) {
	const n = 12
	if len(series) <= n {
		return r, false
	}
	for _, b := range series[len(series)-1-n : len(series)-1] {
		r.In += float64(b.In)
		r.Out += float64(b.Done + b.Failed)
		r.Failed += float64(b.Failed)
	}
	secs := (n * BucketWidth).Seconds()
	return Rates{r.In / secs, r.Out / secs, r.Failed / secs}, true
}
