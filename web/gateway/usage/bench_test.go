package usage_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"jobhub/web/gateway/usage"
)

// BenchmarkRecord is one call: in the same series, of one of 1,000 series, and by all
// processors at once.
func BenchmarkRecord(b *testing.B) {
	calls := make([]usage.Call, 1000)
	for i := range calls {
		calls[i] = benchCall(rand.New(rand.NewPCG(1, uint64(i))), i, i%5)
	}
	now := time.Now()
	b.Run("one series", func(b *testing.B) {
		u := open(b, usage.Options{})
		b.ReportAllocs()
		for b.Loop() {
			u.Record(now, calls[0])
		}
	})
	b.Run("1000 series", func(b *testing.B) {
		u := open(b, usage.Options{})
		b.ReportAllocs()
		i := 0
		for b.Loop() {
			u.Record(now, calls[i%len(calls)])
			i++
		}
	})
	b.Run("1000 series, parallel", func(b *testing.B) {
		u := open(b, usage.Options{})
		b.RunParallel(func(pb *testing.PB) {
			for i := rand.IntN(1000); pb.Next(); i++ {
				u.Record(now, calls[i%len(calls)])
			}
		})
	})
	b.Run("one series, parallel", func(b *testing.B) {
		u := open(b, usage.Options{})
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				u.Record(now, calls[0])
			}
		})
	})
}

// BenchmarkAsk asks about 10,000,000 calls of 30 days, by 1,000 consumers on 50 routes, where
// each consumer calls 5 of the routes, or all of them. Of each question the first run also adds
// up hours that no question needed before. MB is the memory of all of it.
func BenchmarkAsk(b *testing.B) {
	for _, routes := range []int{5, 50} {
		b.Run(fmt.Sprintf("%d routes each", routes), func(b *testing.B) {
			store := newStore()
			options := usage.Options{Store: store}
			u := open(b, options)
			begin := time.Now().Truncate(time.Hour).Add(-30 * 24 * time.Hour)
			random := rand.New(rand.NewPCG(1, 2))
			const calls, hours = 10_000_000, 30*24 + 1
			for hour := range hours {
				for i := range calls / hours {
					at := begin.Add(time.Duration(hour)*time.Hour + time.Duration(i*4/(calls/hours))*15*time.Minute)
					u.Record(at, benchCall(random, random.IntN(1000), random.IntN(routes)))
				}
				if err := u.Flush(context.Background(), begin.Add(time.Duration(hour+1)*time.Hour)); err != nil {
					b.Fatal(err)
				}
			}
			if err := u.Close(context.Background()); err != nil {
				b.Fatal(err)
			}
			began := processor()
			u = open(b, options)
			now := begin.Add(hours*time.Hour - time.Minute)
			ask := func(b *testing.B, q usage.Question) {
				q.Tenant, q.To = "acme", now
				a, err := u.Ask(context.Background(), now, q)
				if err != nil {
					b.Fatal(err)
				}
				if len(a.Rows) == 0 {
					b.Fatal("no rows")
				}
			}
			month := now.Add(-30*24*time.Hour + time.Hour)
			ask(b, usage.Question{From: month, By: []string{"consumer"}})
			b.Logf("read and asked first after %v of processor time; %d MB in the store", processor()-began, store.size()>>20)
			for _, c := range []struct {
				by   string
				from time.Time
				step time.Duration
			}{
				{"consumer", month, 0}, {"route,status", month, 24 * time.Hour}, {"status", month, time.Hour}, {"consumer", now.Add(-7 * 24 * time.Hour), 24 * time.Hour},
				{"route", now.Add(-24 * time.Hour), time.Hour}, {"consumer", now.Add(-24 * time.Hour), 0}, {"consumer,api", month, 0},
			} {
				b.Run(fmt.Sprintf("%s, %v by %v", c.by, now.Sub(c.from), c.step), func(b *testing.B) {
					began := processor()
					for b.Loop() {
						ask(b, usage.Question{From: c.from, By: strings.Split(c.by, ","), Step: c.step})
					}
					b.ReportMetric(float64(processor()-began)/float64(b.N)/1e6, "cpu-ms/op")
				})
			}
			b.Run("own by route, 30 days", func(b *testing.B) {
				for b.Loop() {
					ask(b, usage.Question{Scope: usage.Scope{Own: true, Consumer: "0197f0a0-key-7"}, From: month, By: []string{"route"}})
				}
			})
			b.Run("memory", func(b *testing.B) {
				all := heap()
				for b.Loop() {
				}
				b.ReportMetric(float64(all)/1e6, "MB")
				b.ReportMetric(0, "ns/op")
			})
		})
	}
}

// processor returns the processor time that was used.
func processor() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func heap() int {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func (s *memoryStore) size() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.all {
		n += len(d.Data)
	}
	return n
}

// benchCall is a call of a consumer to one of its routes.
func benchCall(random *rand.Rand, consumer, route int) usage.Call {
	route = (consumer*7 + route) % 50
	c := usage.Call{Tenant: "acme", Consumer: fmt.Sprintf("0197f0a0-key-%d", consumer), Route: fmt.Sprintf("/api/orders/v%d/{id}", route), API: fmt.Sprintf("orders-%d", route/5), Version: fmt.Sprint("v", route%5),
		Status: 200, In: int64(random.IntN(2000)), Out: int64(random.IntN(20_000)), Took: time.Duration(float64(20*time.Millisecond) * math.Exp(random.NormFloat64()*.7))}
	if random.IntN(20) == 0 {
		c.Status = []int{404, 429, 500, 503}[random.IntN(4)]
	}
	return c
}
