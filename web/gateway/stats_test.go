package gateway

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

func TestStats(t *testing.T) {
	var s Stats
	noon := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	if got := s.Counts(noon); got.Passed != 0 || got.P50 >= 0 || !got.Last.IsZero() || !got.Failing.IsZero() {
		t.Errorf("at first: %+v", got)
	}
	for range 90 {
		s.countAnswer(200, 10*time.Millisecond, noon)
	}
	for range 10 {
		s.countAnswer(404, time.Second, noon)
	}
	got := s.Counts(noon)
	if got.Passed != 100 || got.Failed != 0 || got.Status != 404 || !got.Good.Equal(noon) || !got.Last.Equal(noon) {
		t.Errorf("well: %+v", got)
	}
	if got.P50 < 10*time.Millisecond || got.P50 > 13*time.Millisecond || got.P95 < time.Second || got.P95 > 1300*time.Millisecond {
		t.Errorf("p50 %s, p95 %s", got.P50, got.P95)
	}
	s.countAnswer(503, time.Millisecond, noon.Add(time.Minute))
	s.countAnswer(0, 0, noon.Add(2*time.Minute))
	got = s.Counts(noon.Add(2 * time.Minute))
	if got.Failed != 2 || got.Status != 0 || !got.Failing.Equal(noon.Add(time.Minute)) || !got.Last.Equal(noon.Add(2*time.Minute)) || got.RecentPassed != 102 || got.RecentFailed != 2 {
		t.Errorf("failing: %+v", got)
	}
	got = s.Counts(noon.Add(15 * time.Minute)) // the first minute is no longer among them
	if got.RecentPassed != 2 || got.Passed != 102 {
		t.Errorf("later: %+v", got)
	}
	s.countAnswer(200, time.Millisecond, noon.Add(15*time.Minute)) // in the place of the first minute
	if got = s.Counts(noon.Add(15 * time.Minute)); !got.Failing.IsZero() || got.RecentPassed != 3 || got.P95 > 2*time.Millisecond {
		t.Errorf("well again: %+v", got)
	}
}

func TestBins(t *testing.T) {
	last := -1
	for d := time.Duration(0); d < 100*time.Second; d += d/9 + time.Microsecond {
		i := bucketOf(d)
		if i < last || i >= bucketCount {
			t.Fatalf("%s is in bin %d, after bin %d", d, i, last)
		}
		if last = i; i < bucketCount-1 && (bucketEnd(i) < d.Truncate(time.Microsecond) || i > 0 && bucketEnd(i-1) > max(d, 4*time.Microsecond)) {
			t.Errorf("%s is in bin %d, which ends at %s", d, i, bucketEnd(i))
		}
	}
	if last != bucketCount-1 {
		t.Errorf("100 s are in bin %d", last)
	}
}

// TestStatsAtOnce is for the race detector.
func TestStatsAtOnce(t *testing.T) {
	var s Stats
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 1000 {
				s.countAnswer(200+300*(i%2), time.Duration(i)*time.Microsecond, time.UnixMilli(int64(i)*200))
				s.Counts(time.UnixMilli(int64(i) * 200))
			}
		})
	}
	all.Wait()
	if got := s.Counts(time.UnixMilli(0)); got.Passed != 8000 || got.Failed != 4000 {
		t.Errorf("%+v", got)
	}
}

// BenchmarkStats is what counting costs a request that is passed through.
func BenchmarkStats(b *testing.B) {
	var s Stats
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.countAnswer(200, time.Millisecond, time.Now())
		}
	})
}

// BenchmarkPass is a request through a route to an upstream on this machine.
func BenchmarkPass(b *testing.B) {
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer up.Close()
	at, err := http.NewRequest("GET", up.URL, nil)
	if err != nil {
		b.Fatal(err)
	}
	table, err := NewTable([]Route{{Path: "/", Upstream: at.URL}}, nil, nil)
	if err != nil {
		b.Fatal(err)
	}
	defer table.Close()
	b.ReportAllocs()
	for b.Loop() {
		table.routes[0].Pass(httptest.NewRecorder(), httptest.NewRequest("GET", "/x", nil), Passing{})
	}
}
