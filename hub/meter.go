package hub

import (
	"sync"
	"time"

	"jobhub/jobs"
)

const (
	// BucketWidth is the resolution of a Meter.
	BucketWidth = 5 * time.Second
	// Buckets is how many of them a Meter keeps: 15 minutes.
	Buckets      = 180
	meterBacklog = 50_000 // events read at the start so that rates survive a restart
)

// Bucket counts what happened in one BucketWidth.
type Bucket struct {
	In, Done, Failed int64 // accepted; succeeded; failed
}

// Meter counts jobs per queue over the last 15 minutes, from their events.
type Meter struct {
	mu     sync.Mutex // protects the fields below
	queues map[meterKey]*series
}

type meterKey struct{ tenant, queue string }

// series is a ring of buckets; newest is the number of the newest since 1970.
type series struct {
	newest  int64
	buckets [Buckets]Bucket
}

func bucketOf(t time.Time) int64 { return t.UnixMilli() / BucketWidth.Milliseconds() }

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
	if m.queues == nil {
		m.queues = map[meterKey]*series{}
	}
	k := meterKey{e.Tenant, e.Queue}
	s := m.queues[k]
	if s == nil {
		s = &series{newest: bucketOf(e.At)}
		m.queues[k] = s
	}
	s.roll(bucketOf(e.At))
	at := &s.buckets[s.newest%Buckets]
	at.In, at.Done, at.Failed = at.In+b.In, at.Done+b.Done, at.Failed+b.Failed
}

// roll empties the buckets between the newest and now.
func (s *series) roll(now int64) {
	if now-s.newest > Buckets {
		s.newest = now - Buckets
	}
	for s.newest < now {
		s.newest++
		s.buckets[s.newest%Buckets] = Bucket{}
	}
}

// Series returns the buckets of a queue, the oldest first; the last one is still
// filling. An empty queue name means the sum of all.
func (m *Meter) Series(tenant, queue string, now time.Time) []Bucket {
	m.mu.Lock()
	defer m.mu.Unlock()
	sum := make([]Bucket, Buckets)
	add := func(s *series) {
		s.roll(bucketOf(now))
		for i := range sum {
			b := s.buckets[(s.newest+1+int64(i))%Buckets]
			sum[i].In, sum[i].Done, sum[i].Failed = sum[i].In+b.In, sum[i].Done+b.Done, sum[i].Failed+b.Failed
		}
	}
	if queue != "" {
		if s := m.queues[meterKey{tenant, queue}]; s != nil {
			add(s)
		}
		return sum
	}
	for k, s := range m.queues {
		if k.tenant == tenant {
			add(s)
		}
	}
	return sum
}

// Rates are averages per second over the last 60 seconds.
type Rates struct{ In, Out, Failed float64 }

// RatesOf sums up the last 12 full buckets of a series.
func RatesOf(series []Bucket) (r Rates) {
	const n = 12
	for _, b := range series[len(series)-1-n : len(series)-1] {
		r.In += float64(b.In)
		r.Out += float64(b.Done + b.Failed)
		r.Failed += float64(b.Failed)
	}
	secs := (n * BucketWidth).Seconds()
	return Rates{r.In / secs, r.Out / secs, r.Failed / secs}
}
