package cache

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestBytes: what is stored never takes more than its bound, headers included, and what is used
// often stays although others come once.
func TestBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 1 << 20
		w := newWorld(t, Options{Bytes: limit}, Policy{TTL: time.Hour}, func(r *http.Request) (*http.Response, error) {
			return reply(200, strings.Repeat("x", 1000+len(r.URL.RawQuery)*10), "X-Long: "+strings.Repeat("y", 1000)), nil
		})
		for range 3 {
			for i := range 50 {
				w.send("a", fmt.Sprint("GET /often/", i))
			}
		}
		for i := range 5000 {
			w.send("a", fmt.Sprint("GET /once?", i))
			if i%20 == 0 {
				w.send("a", fmt.Sprint("GET /often/", i/20%50))
			}
			if s := w.cache.Stats(); s.Bytes > limit {
				t.Fatalf("%d bytes", s.Bytes)
			}
		}
		before := w.cache.Stats().Hits
		for i := range 50 {
			w.send("a", fmt.Sprint("GET /often/", i))
		}
		s := w.cache.Stats()
		if s.Hits-before < 50 || s.Evicted == 0 || s.Bytes < limit/2 {
			t.Errorf("%d of 50 stayed; %+v", s.Hits-before, s)
		}
		checkIndex(t, w.cache)
	})
}

// TestVariants: one key has a bounded number of answers.
func TestVariants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, Options{Variants: 4}, Policy{TTL: time.Hour}, always(200, "a", "Vary: X"))
		for i := range 100 {
			w.send("a", "GET /", fmt.Sprint("X: ", i))
		}
		if s := w.cache.Stats(); s.Entries != 4 {
			t.Errorf("%+v", s)
		}
		if got := w.send("a", "GET /", "X: 99"); !got.x.Hit {
			t.Error("the newest is not there")
		}
		checkIndex(t, w.cache)
	})
}

// TestRandom: after any requests at once, the index and the queues say the same.
func TestRandom(t *testing.T) {
	for seed := range uint64(20) {
		in(t, fmt.Sprint(seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			answers := [][]string{nil, {"Vary: X"}, {"Cache-Control: public"}, {"Cache-Control: no-store"}, {"Cache-Control: max-age=1", `Etag: "1"`}, {"Cache-Control: max-age=1, stale-while-revalidate=9"}, {"Cache-Control: no-cache", `Etag: "2"`}}
			w := newWorld(t, Options{Bytes: 40 << 10}, Policy{TTL: 3 * time.Second}, func(q *http.Request) (*http.Response, error) {
				time.Sleep(50 * time.Millisecond)
				if q.Header.Get("If-None-Match") != "" {
					return reply(304, ""), nil
				}
				var n int
				fmt.Sscan(q.URL.RawQuery, &n)
				return reply(200, strings.Repeat("x", n*300), answers[n%len(answers)]...), nil
			})
			for range 2000 {
				method := []string{"GET", "GET", "GET", "GET", "GET", "GET", "HEAD", "POST"}[r.IntN(8)]
				line, caller, x := fmt.Sprintf("%s /?%d", method, r.IntN(30)), fmt.Sprint(r.IntN(3)), fmt.Sprint("X: ", r.IntN(3))
				go w.send(caller, line, x)
				time.Sleep(time.Duration(r.IntN(20)) * time.Millisecond)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			if n := len(w.cache.flights); n > 0 {
				t.Errorf("%d flights", n)
			}
			if n := w.cache.arriving.Load(); n != 0 {
				t.Errorf("%d bytes on their way", n)
			}
			if s := w.cache.Stats(); s.Hits == 0 || s.Evicted == 0 || s.Collapsed == 0 || s.Invalidated == 0 || s.Validated == 0 {
				t.Errorf("%+v", s)
			}
			checkIndex(t, w.cache)
			for i := range 30 {
				w.send("0", fmt.Sprint("DELETE /?", i))
			}
			if s := w.cache.Stats(); s.Entries != 0 || s.Bytes != 0 || len(w.cache.resources) != 0 {
				t.Errorf("%+v, %d resources", s, len(w.cache.resources))
			}
		})
	}
}

func checkIndex(t *testing.T, c *Cache) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	n, size := 0, int64(0)
	for uri, r := range c.resources {
		if r.uri != uri || r.fetches != 0 || len(r.slots) == 0 {
			t.Errorf("resource: %d fetches, %d slots", r.fetches, len(r.slots))
		}
		for key, s := range r.slots {
			all := s.entries
			if s.pass != nil {
				all = append(all[:len(all):len(all)], s.pass)
			}
			if s.key != key || s.resource != r || len(all) == 0 {
				t.Error("slot")
			}
			for _, e := range all {
				n++
				size += e.size
				if e.slot != s || e.at.Value.(*entry) != e {
					t.Error("entry")
				}
			}
		}
	}
	if n != c.queues.small.Len()+c.queues.main.Len() || size != c.queues.bytes() {
		t.Errorf("%d entries of %d bytes in the index; %d and %d of %d in the queues", n, size, c.queues.small.Len(), c.queues.main.Len(), c.queues.bytes())
	}
	if len(c.queues.dropped) > maxDropped || len(c.queues.ring) > maxDropped {
		t.Errorf("%d dropped", len(c.queues.dropped))
	}
}
