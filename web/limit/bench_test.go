package limit_test

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"jobhub/web/limit"
)

// BenchmarkDecide is one decision with two rules, of one caller at a time.
func BenchmarkDecide(b *testing.B) {
	for _, c := range []struct {
		name  string
		quota string
		rules []limit.Rule
	}{
		{"two rates", "", []limit.Rule{rate(1_000_000_000, time.Second, limit.PerConsumer), rate(1_000_000_000, time.Second, "")}},
		{"rate and concurrency", "", []limit.Rule{rate(1_000_000_000, time.Second, limit.PerConsumer), concurrency(10, limit.PerConsumer)}},
		{"rate and quota", "100000000000/1d", []limit.Rule{rate(1_000_000_000, time.Second, limit.PerConsumer)}},
		{"rate of an address", "", []limit.Rule{rate(1_000_000_000, time.Second, limit.PerAddress)}},
	} {
		b.Run(c.name, func(b *testing.B) {
			l := newLimiter(b, limit.Options{Store: &memoryStore{}})
			set := compile(b, "route", c.quota, c.rules...)
			ctx := context.Background()
			b.ReportAllocs()
			for b.Loop() {
				v := l.Decide(ctx, time.Now(), ann, set)
				if !v.Allowed() {
					b.Fatal(v.Err())
				}
				v.Release()
			}
		})
	}
	b.Run("headers", func(b *testing.B) {
		l := newLimiter(b, limit.Options{})
		v := l.Decide(context.Background(), noon, ann, compile(b, "route", "", rate(100, time.Minute, limit.PerConsumer), rate(5, time.Second, "")))
		b.ReportAllocs()
		for b.Loop() {
			v.Headers(http.Header{})
		}
	})
	b.Run("refused", func(b *testing.B) {
		l := newLimiter(b, limit.Options{})
		set := compile(b, "route", "", rate(1, time.Hour, limit.PerConsumer), rate(5, time.Second, ""))
		passes(l, 1, noon, ann, set)
		b.ReportAllocs()
		for b.Loop() {
			l.Decide(context.Background(), noon, ann, set)
		}
	})
}

// BenchmarkMemory is how much memory each of 1,000,000 consumers takes.
func BenchmarkMemory(b *testing.B) {
	const consumers = 1_000_000
	for _, c := range []struct {
		name  string
		quota string
		rules []limit.Rule
		who   func(i int) limit.Subject
	}{
		{"rate", "", []limit.Rule{rate(100, time.Hour, limit.PerConsumer)}, consumer},
		{"two rates", "", []limit.Rule{rate(100, time.Hour, limit.PerConsumer), rate(50, time.Minute, limit.PerConsumer)}, consumer},
		{"rate and quota", "1000/1d", []limit.Rule{rate(100, time.Hour, limit.PerConsumer)}, consumer},
		{"address", "", []limit.Rule{rate(100, time.Hour, limit.PerAddress)}, func(i int) limit.Subject {
			return limit.Subject{Address: netip.AddrFrom16([16]byte{0x20, 1, 5: byte(i >> 16), 6: byte(i >> 8), 7: byte(i)})}
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				l := limit.New(limit.Options{Store: &forgetfulStore{}, MaxAddresses: 2 * consumers})
				set := compile(b, "plan gold", c.quota, c.rules...)
				b.StartTimer()
				for i := range consumers {
					if v := l.Decide(context.Background(), noon, c.who(i), set); !v.Allowed() {
						b.Fatal(v.Err())
					}
				}
				b.StopTimer()
				runtime.GC()
				runtime.ReadMemStats(&after)
				each := float64(after.HeapAlloc-before.HeapAlloc) / consumers
				b.ReportMetric(each, "B/consumer")
				if each > 200 {
					b.Errorf("%.0f bytes for each consumer, more than 200", each)
				}
				l.Close(context.Background())
				b.StartTimer()
			}
		})
	}
}

func consumer(i int) limit.Subject {
	return limit.Subject{Consumer: fmt.Sprintf("acme/key_%016x", i)}
}

// forgetfulStore keeps nothing.
type forgetfulStore struct{}

func (forgetfulStore) Load(context.Context, []limit.QuotaKey) ([]limit.Count, error) { return nil, nil }
func (forgetfulStore) Save(context.Context, []limit.Count) error                     { return nil }
