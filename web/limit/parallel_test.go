package limit_test

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/web/limit"
)

// TestParallelSets: many callers under sets in any order. No rule lets more pass than it may,
// each lets pass what it may, and nobody waits for ever.
func TestParallelSets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &memoryStore{onSave: func(context.Context) { time.Sleep(time.Microsecond) }}
		l := limit.New(limit.Options{Store: store})
		sets := []*limit.RuleSet{
			compile(t, "route", "", rate(400, time.Hour, limit.PerRoute), rate(60, time.Hour, limit.PerAddress)),
			compile(t, "plan", "50/1d", rate(70, time.Hour, limit.PerConsumer)),
			compile(t, "key", "", rate(500, time.Hour, limit.PerConsumer), concurrency(1000, limit.PerConsumer)),
		}
		const consumers, addresses = 10, 8
		var mu sync.Mutex
		byConsumer, byAddress, all := map[int]int{}, map[int]int{}, 0
		var wg sync.WaitGroup
		for i := range 4000 {
			consumer, address := i%consumers, i/consumers%addresses
			who := limit.Subject{Consumer: strconv.Itoa(consumer), Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(address)})}
			mine := slices.Clone(sets)
			rand.Shuffle(len(mine), func(i, j int) { mine[i], mine[j] = mine[j], mine[i] })
			wg.Go(func() {
				v := l.Decide(context.Background(), time.Now(), who, mine...)
				if !v.Allowed() {
					return
				}
				mu.Lock()
				byConsumer[consumer]++
				byAddress[address]++
				all++
				mu.Unlock()
				v.Release()
			})
		}
		wg.Wait()
		if all != 400 {
			t.Errorf("%d passed of 400", all)
		}
		for consumer, n := range byConsumer {
			if n > 50 {
				t.Errorf("%d of consumer %d passed", n, consumer)
			}
		}
		for address, n := range byAddress {
			if n > 60 {
				t.Errorf("%d of address %d passed", n, address)
			}
		}
		l.Close(context.Background())
		if used := store.used(); used != 400 {
			t.Errorf("%d used of the quotas", used)
		}
	})
}

// TestConcurrency: never more run at once than may, and as many as may.
func TestConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limit.New(limit.Options{})
		set := compile(t, "route", "", concurrency(10, limit.PerConsumer))
		var runs, most, passed atomic.Int64
		var wg sync.WaitGroup
		for range 200 {
			wg.Go(func() {
				for range 20 {
					v := l.Decide(context.Background(), time.Now(), ann, set)
					if v.Allowed() {
						passed.Add(1)
						if n := runs.Add(1); n > 10 {
							t.Errorf("%d run at once", n)
						} else if n > most.Load() {
							most.Store(n)
						}
						time.Sleep(time.Second)
						runs.Add(-1)
					}
					v.Release()
					time.Sleep(time.Second / 2)
				}
			})
		}
		wg.Wait()
		if most.Load() != 10 || passed.Load() < 60 {
			t.Errorf("at most %d ran at once, %d in all", most.Load(), passed.Load())
		}
		if v := l.Explain(context.Background(), time.Now(), ann, set); v.Policies()[0].Left != 10 {
			t.Errorf("%+v", v.Policies())
		}
		l.Close(context.Background())
	})
}

// TestExplainOfRefused: the dry form reads the quota also if another rule refuses.
func TestExplainOfRefused(t *testing.T) {
	store := &memoryStore{}
	l := newLimiter(t, limit.Options{Store: store})
	narrow := compile(t, "narrow", "", rate(1, time.Hour, ""))
	passes(l, 1, noon, ann, narrow)
	wide := compile(t, "wide", "9/1d")
	if v := l.Decide(context.Background(), noon, ann, narrow, wide); v.Allowed() || v.Policies()[1].Known || store.loads != 0 {
		t.Fatalf("%+v, %d loads", v.Policies(), store.loads)
	}
	v := l.Explain(context.Background(), noon, ann, narrow, wide)
	if p := v.Policies()[1]; v.Allowed() || !p.Known || p.Left != 9 || store.saves != 0 {
		t.Fatalf("%+v", p)
	}
}
