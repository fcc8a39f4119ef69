package limit_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/web/limit"
)

// TestQuota: 1,000 parallel requests at 100 let exactly 100 pass, also over a restart that is
// clean; the store then has what was used.
func TestQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memoryStore{onSave: func(context.Context) { time.Sleep(time.Millisecond) }}
		set := compile(t, "route", "100/1d")
		total := 0
		for _, n := range []int{30, 40, 1000, 1000} {
			l := limit.New(limit.Options{Store: store})
			l.Use(set)
			total += passesAtOnce(l, n, ann, set)
			if err := l.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			if want := min(100, int64(total)); store.used() != want {
				t.Fatalf("%d used, not %d", store.used(), want)
			}
		}
		if total != 100 {
			t.Fatalf("%d passed, not 100", total)
		}
		l := limit.New(limit.Options{Store: store})
		time.Sleep(24 * time.Hour)
		if n := passesAtOnce(l, 1000, ann, set); n != 100 {
			t.Fatalf("%d passed the next day, not 100", n)
		}
		if n := passesAtOnce(l, 1000, limit.Subject{Consumer: "bob"}, set); n != 100 {
			t.Fatalf("%d of another consumer passed, not 100", n)
		}
		l.Close(context.Background())
		l.Close(context.Background())
		if v := l.Decide(context.Background(), time.Now(), limit.Subject{Consumer: "eve"}, set); problemOf(t, v).Status != 503 {
			t.Fatal("passed after Close", v.Err())
		}
	})
}

// TestQuotaCrash: whenever the process dies, never more than the quota passes, and what is
// lost is at most the rest of a block.
func TestQuotaCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		for run := range 50 {
			const quota = 1000
			store := &memoryStore{}
			set := compile(t, "route", strconv.Itoa(quota)+"/7d")
			passed, lives := 0, 0
			for store.used() < quota || lives == 0 {
				lives++
				l := limit.New(limit.Options{Store: store})
				died := make(chan struct{})
				saves := random.IntN(8)
				store.onSave = func(ctx context.Context) {
					if saves--; saves < 0 {
						close(died) // between reserving and using, or before reserving
						if random.IntN(2) == 0 {
							store.mu.Lock()
							store.broken = errors.New("nobody learns that it was stored")
							store.mu.Unlock()
						}
						store.onSave = func(context.Context) {}
					}
				}
				now := time.Now()
				for dead := false; !dead; {
					v := l.Decide(context.Background(), now, ann, set)
					select {
					case <-died:
						dead = true // its answer is not sent any more
					default:
						if v.Allowed() {
							passed++
						}
						dead = !v.Allowed()
					}
				}
				store.mu.Lock()
				crashed := &memoryStore{counts: map[limit.QuotaKey]limit.Count{}}
				for k, c := range store.counts {
					crashed.counts[k] = c
				}
				store.mu.Unlock()
				l.Close(context.Background()) // gives back into a store that nobody reads
				store = crashed
				if passed > quota {
					t.Fatalf("run %d: %d passed, the quota is %d", run, passed, quota)
				}
			}
			if passed < quota-lives*(quota/100+1) {
				t.Fatalf("run %d: %d passed in %d lives, the quota is %d", run, passed, lives, quota)
			}
		}
	})
}

// TestQuotaStoreFails: nothing passes that was not stored; afterwards it goes on.
func TestQuotaStoreFails(t *testing.T) {
	for _, c := range []struct {
		name        string
		spoil       func(s *memoryStore)
		used, after int64 // at most, and how many pass then
	}{
		{"not stored", func(s *memoryStore) { s.fail = errors.New("disk full") }, 0, 5},
		{"stored, but it did not say so", func(s *memoryStore) { s.broken = errors.New("connection lost") }, 5, 5},
	} {
		store := &memoryStore{}
		l := limit.New(limit.Options{Store: store})
		set := compile(t, "route", "5/1d", rate(5, time.Hour, ""))
		c.spoil(store)
		for range 9 {
			v := l.Decide(context.Background(), noon, ann, set)
			if p := problemOf(t, v); p.Status != 503 || headers(v).Get("Retry-After") != "1" {
				t.Fatal(p)
			}
		}
		if store.used() > c.used {
			t.Fatalf("%s: %d used", c.name, store.used())
		}
		store.fail, store.broken = nil, nil
		if n := passes(l, 9, noon, ann, set); int64(n) != c.after { // and the rate was not touched
			t.Errorf("%s: %d passed, not %d", c.name, n, c.after)
		}
		l.Close(context.Background())
	}
	none := newLimiter(t, limit.Options{})
	if p := problemOf(t, none.Decide(context.Background(), noon, ann, compile(t, "route", "5/1d"))); p.Status != 503 {
		t.Fatal(p)
	}
}

// TestQuotaWaits: who waits for the store holds up nobody whose units are reserved, is joined
// with others who wait, and waits for a limited time.
func TestQuotaWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		store := &memoryStore{}
		l := limit.New(limit.Options{Store: store, StoreTimeout: 3 * time.Second})
		set := compile(t, "route", "100000/1d", rate(1000, time.Hour, limit.PerConsumer))
		for range 20 { // blocks of ann grow
			passes(l, 1, time.Now(), ann, set)
		}
		store.onSave = func(ctx context.Context) {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		results := make(chan bool, 500)
		var wg sync.WaitGroup
		for i := range 500 {
			wg.Go(func() {
				v := l.Decide(context.Background(), time.Now(), limit.Subject{Consumer: strconv.Itoa(i)}, set)
				results <- v.Allowed()
			})
		}
		synctest.Wait()
		if n := passes(l, 3, time.Now(), ann, set); n != 3 {
			t.Fatalf("%d passed, not 3: the others hold them up", n)
		}
		if v := l.Explain(context.Background(), time.Now(), ann, set); v.Policies()[1].Left != 100000-23 {
			t.Fatalf("%+v", v.Policies())
		}
		saves := store.saves
		close(release)
		wg.Wait()
		close(results)
		for ok := range results {
			if !ok {
				t.Fatal("refused")
			}
		}
		if store.saves-saves > 3 {
			t.Errorf("%d saves for 500 consumers", store.saves-saves)
		}

		store.onSave = func(ctx context.Context) { <-ctx.Done() }
		store.fail = context.DeadlineExceeded
		began := time.Now()
		v := l.Decide(context.Background(), began, limit.Subject{Consumer: "late"}, set)
		if problemOf(t, v).Status != 503 || time.Since(began) != 3*time.Second {
			t.Fatal(v.Err(), time.Since(began))
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		began = time.Now()
		v = l.Decide(ctx, began, limit.Subject{Consumer: "leaves"}, set)
		if problemOf(t, v).Status != 503 || !errors.Is(v.Err(), context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Fatal(v.Err(), time.Since(began))
		}
		if err := l.Close(context.Background()); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatal("closed without giving back:", err)
		}
	})
}

// TestQuotaBlocks: a small quota is stored one by one, a large and busy one seldom.
func TestQuotaBlocks(t *testing.T) {
	for _, c := range []struct {
		quota    string
		requests int
		most     int // saves
		least    int
	}{
		{"100/1d", 100, 100, 100},
		{"1000000/1d", 100_000, 30, 10},
	} {
		store := &memoryStore{}
		l := limit.New(limit.Options{Store: store})
		if n := passes(l, c.requests, noon, ann, compile(t, "route", c.quota)); n != c.requests {
			t.Errorf("%s: %d passed", c.quota, n)
		}
		l.Close(context.Background())
		if saves := store.saves; saves > c.most+1 || saves < c.least {
			t.Errorf("%s: %d saves", c.quota, saves)
		}
		if store.used() != int64(c.requests) {
			t.Errorf("%s: %d used", c.quota, store.used())
		}
	}
}

// TestQuotaWindows: they end by UTC; what is used goes on under another number.
func TestQuotaWindows(t *testing.T) {
	store := &memoryStore{}
	l := newLimiter(t, limit.Options{Store: store})
	for _, c := range []struct {
		quota string
		ends  time.Time
	}{
		{"2/1h", noon.Add(time.Hour)},
		{"2/1d", time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)},
		{"2/1w", time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)},
		{"2/5m", noon.Add(5 * time.Minute)},
	} {
		set := compile(t, c.quota, c.quota)
		now := c.ends.Add(-1).In(time.FixedZone("elsewhere", 5*3600))
		if n := passes(l, 3, now, ann, set); n != 2 {
			t.Errorf("%s: %d passed", c.quota, n)
		}
		if v := l.Explain(context.Background(), now, ann, set); v.RetryAfter != 1 {
			t.Errorf("%s ends in %s, not at %s", c.quota, v.RetryAfter, c.ends)
		}
		if n := passes(l, 3, c.ends, ann, set); n != 2 {
			t.Errorf("%s: %d passed in the next window", c.quota, n)
		}
	}
	passes(l, 3, noon, ann, compile(t, "plan", "3/1d"))
	if n := passes(l, 9, noon, ann, compile(t, "plan", "5/1d")); n != 2 {
		t.Errorf("%d passed under the larger quota, not 2", n)
	}
	if v := l.Explain(context.Background(), noon, ann, compile(t, "plan", "2/1d")); v.Allowed() || v.Policies()[0].Left != 0 {
		t.Errorf("passes under the smaller quota: %+v", v.Policies())
	}
	for k, c := range store.counts {
		if k.Per != limit.PerConsumer || k.ID != "ann" || c.End.Before(noon) {
			t.Errorf("stored: %+v", c)
		}
	}
}
