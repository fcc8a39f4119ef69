package gateway

import (
	"math/bits"
	"sync/atomic"
	"time"

	"jobhub/hub/quantile"
	"jobhub/web/stages"
)

const (
	slotWidth   = time.Minute
	slotCount   = 15 // how many slots are kept
	bucketCount = 96 // of a histogram: four for each doubling from 4 µs on; the last begins at 58 s
)

// Stats counts the requests of a route, without locks and in a fixed amount of memory. Counters
// that are read together may differ by the requests in progress.
type Stats struct {
	passed, failed, accepted    atomic.Int64 // since the start of the hub
	wrongRequests, wrongAnswers atomic.Int64 // likewise
	refused                     [stages.Count]atomic.Int64

	status       atomic.Int64 // of the upstream's last answer; 0 for none
	lastGood     atomic.Int64 // when the upstream last succeeded, in ms since 1970; 0 for never
	lastBad      atomic.Int64 // when it last failed, likewise
	failingSince atomic.Int64 // since when it has failed without a success, likewise; 0 if it has not

	slots [slotCount]slot
}

// slot counts the requests of one slotWidth.
type slot struct {
	number         atomic.Int64 // slots since 1970
	passed, failed atomic.Int64
	buckets        [bucketCount]atomic.Uint32
}

// Counts is a snapshot of a Stats.
type Counts struct {
	Passed    int64            // requests that were passed to the upstream
	Failed    int64            // of these, without an answer or with a 5xx
	Accepted  int64            // became jobs
	Refused   int64            // by the hub
	RefusedBy map[string]int64 // the same by the name of the stage

	WrongRequests, WrongAnswers int64 // not as the OpenAPI document says

	RecentPassed, RecentFailed int64         // of the last 15 minutes
	P50, P95                   time.Duration // until an answer began, in the last 15 minutes; negative if not known

	Status  int       // of the upstream's last answer; 0 for none
	Last    time.Time // when that was; zero for never
	Good    time.Time // when it last succeeded; zero for never
	Failing time.Time // since when the upstream fails; zero if it does not fail
}

// CountAccepted counts a request that became a job.
func (s *Stats) CountAccepted() { s.accepted.Add(1) }

// CountRefused counts a request that a stage refused.
func (s *Stats) CountRefused(by stages.Stage) { s.refused[by].Add(1) }

// CountWrongRequest counts a request that is not as the OpenAPI document says.
func (s *Stats) CountWrongRequest() { s.wrongRequests.Add(1) }

// CountWrongAnswer counts such an answer.
func (s *Stats) CountWrongAnswer() { s.wrongAnswers.Add(1) }

// countAnswer counts an answer of the upstream, with status 0 if there was none. took is the
// time until it began.
func (s *Stats) countAnswer(status int, took time.Duration, now time.Time) {
	bad := status == 0 || status >= 500
	s.passed.Add(1)
	s.status.Store(int64(status))
	ms := now.UnixMilli()
	at := s.slot(now)
	at.passed.Add(1)
	if status != 0 {
		at.buckets[bucketOf(took)].Add(1)
	}
	if !bad {
		s.lastGood.Store(ms)
		if s.failingSince.Load() != 0 {
			s.failingSince.Store(0)
		}
		return
	}
	s.failed.Add(1)
	at.failed.Add(1)
	s.lastBad.Store(ms)
	s.failingSince.CompareAndSwap(0, ms)
}

// slot returns the slot for a time. The first caller in a new minute empties it; a count that
// another goroutine adds at that moment may be lost.
func (s *Stats) slot(now time.Time) *slot {
	number := now.UnixMilli() / slotWidth.Milliseconds()
	at := &s.slots[number%slotCount]
	if old := at.number.Load(); old != number && at.number.CompareAndSwap(old, number) {
		at.passed.Store(0)
		at.failed.Store(0)
		for i := range at.buckets {
			at.buckets[i].Store(0)
		}
	}
	return at
}

// bucketOf returns the bucket of a duration: the position of its highest bit in µs, and the two
// bits below that.
func bucketOf(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 4))
	high := bits.Len64(us) - 1
	return min(4*(high-2)+int(us>>(high-2)&3), bucketCount-1)
}

// bucketEnd returns the upper bound of a bucket.
func bucketEnd(i int) time.Duration {
	high, part := i/4+2, uint64(i%4)
	return time.Duration((4+part+1)<<(high-2)) * time.Microsecond
}

// Counts reads the counters.
func (s *Stats) Counts(now time.Time) Counts {
	t := Counts{Passed: s.passed.Load(), Failed: s.failed.Load(), Accepted: s.accepted.Load(), RefusedBy: map[string]int64{}, WrongRequests: s.wrongRequests.Load(), WrongAnswers: s.wrongAnswers.Load(),
		Status: int(s.status.Load()), Good: fromMillis(s.lastGood.Load()), Failing: fromMillis(s.failingSince.Load())}
	for stage := range s.refused {
		if n := s.refused[stage].Load(); n > 0 {
			t.RefusedBy[stages.Stage(stage).String()] = n
			t.Refused += n
		}
	}
	if t.Last = fromMillis(s.lastBad.Load()); t.Good.After(t.Last) {
		t.Last = t.Good
	}
	newest := now.UnixMilli() / slotWidth.Milliseconds()
	var sum [bucketCount]uint64
	for i := range s.slots {
		at := &s.slots[i]
		if n := at.number.Load(); n <= newest-slotCount || n > newest {
			continue
		}
		t.RecentPassed += at.passed.Load()
		t.RecentFailed += at.failed.Load()
		for b := range at.buckets {
			sum[b] += uint64(at.buckets[b].Load())
		}
	}
	t.P50, t.P95 = endOf(&sum, .5), endOf(&sum, .95)
	return t
}

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

// endOf returns the upper bound of the bucket that holds a quantile; negative if there is no data.
func endOf(sum *[bucketCount]uint64, q float64) time.Duration {
	i, _ := quantile.Step(sum[:], q)
	if i < 0 {
		return -1
	}
	return bucketEnd(i)
}
