package limit_test

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jobhub/jobs"
	"jobhub/web/limit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) // a Wednesday
	home = netip.MustParseAddr("192.0.2.1")
	ann  = limit.Subject{Consumer: "ann", Address: home}
)

func rate(n int, per time.Duration, whose limit.Per) limit.Rule {
	return limit.Rule{Rate: jobs.Rate{N: n, Per: jobs.Duration(per)}, Per: whose}
}

func concurrency(n int, whose limit.Per) limit.Rule {
	return limit.Rule{Concurrency: n, Per: whose}
}

// compile compiles the set of a route.
func compile(t testing.TB, scope string, quota string, rules ...limit.Rule) *limit.RuleSet {
	t.Helper()
	s := limit.Set{Scope: scope, Name: "route", Rules: rules}
	if quota != "" {
		var ok bool
		if s.Quota, ok = limit.ParseQuota(quota); !ok {
			t.Fatalf("not a quota: %s", quota)
		}
	}
	set, err := limit.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func newLimiter(t testing.TB, o limit.Options) *limit.Limiter {
	l := limit.New(o)
	t.Cleanup(func() { l.Close(context.Background()) })
	return l
}

// passes makes n decisions and returns how many were let pass.
func passes(l *limit.Limiter, n int, now time.Time, who limit.Subject, sets ...*limit.RuleSet) (passed int) {
	for range n {
		if l.Decide(context.Background(), now, who, sets...).Allowed() {
			passed++
		}
	}
	return passed
}

// passesAtOnce makes n decisions in parallel and returns how many were let pass.
func passesAtOnce(l *limit.Limiter, n int, who limit.Subject, sets ...*limit.RuleSet) (passed int) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	for range n {
		wg.Go(func() {
			if l.Decide(context.Background(), time.Now(), who, sets...).Allowed() {
				mu.Lock()
				passed++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return passed
}

// problemOf returns the problem of a refused request.
func problemOf(t testing.TB, v *limit.Verdict) *jobs.Problem {
	t.Helper()
	p, ok := errors.AsType[*jobs.Problem](v.Err())
	if !ok {
		t.Fatalf("not refused by a problem: %v", v.Err())
	}
	return p
}

func headers(v *limit.Verdict) http.Header {
	h := http.Header{}
	v.Headers(h)
	return h
}

// memoryStore keeps counts as a durable store does, beyond the limiters that use it.
type memoryStore struct {
	mu     sync.Mutex
	counts map[limit.QuotaKey]limit.Count
	loads  int
	saves  int
	fail   error                     // of Save, which stores nothing then
	broken error                     // of Save, which stores all the same
	onSave func(ctx context.Context) // before anything is stored
}

func (s *memoryStore) Load(_ context.Context, keys []limit.QuotaKey) (counts []limit.Count, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	for _, k := range keys {
		if c, ok := s.counts[k]; ok {
			counts = append(counts, c)
		}
	}
	return counts, nil
}

func (s *memoryStore) Save(ctx context.Context, counts []limit.Count) error {
	if s.onSave != nil {
		s.onSave(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.saves++
	if s.fail != nil {
		return s.fail
	}
	if s.counts == nil {
		s.counts = map[limit.QuotaKey]limit.Count{}
	}
	for _, c := range counts {
		s.counts[c.QuotaKey] = c
	}
	return s.broken
}

// used is what the store says is used of all quotas.
func (s *memoryStore) used() (n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.counts {
		n += c.Used
	}
	return n
}
