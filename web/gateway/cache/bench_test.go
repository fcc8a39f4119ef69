package cache

import (
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkHit is a hit of 2 KiB with ten headers, on all processors at once.
func BenchmarkHit(b *testing.B) {
	w := newWorld(b, Options{}, Policy{Scope: "route /api/", TTL: time.Hour}, always(200, strings.Repeat("x", 2<<10),
		"Content-Type: application/json", `Etag: "abc"`, "Vary: Accept-Encoding", "Last-Modified: Sat, 01 Jan 2000 00:00:00 GMT", "X-A: 1", "X-B: 2", "Server: x", "Content-Language: en"))
	lines := []string{"Accept: */*", "Accept-Encoding: gzip", "User-Agent: bench", "X-Forwarded-Host: hub.example.com", "X-Forwarded-Proto: https", "X-Forwarded-For: 192.0.2.7", "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
	w.send("key", "GET /api/orders?x=1", lines...)
	b.ReportAllocs()
	var missed atomic.Int64
	b.RunParallel(func(p *testing.PB) {
		x := &Exchange{Caller: "key"}
		req := request(b, "GET /api/orders?x=1", lines...)
		req = req.WithContext(With(req.Context(), x))
		for p.Next() {
			res, err := w.next.RoundTrip(req)
			if err != nil || !x.Hit {
				missed.Add(1)
				continue
			}
			io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
	})
	if missed.Load() > 0 {
		b.Fatalf("%d misses", missed.Load())
	}
}

// BenchmarkMiss is a miss of 2 KiB that is stored.
func BenchmarkMiss(b *testing.B) {
	w := newWorld(b, Options{}, Policy{Scope: "route /api/", TTL: time.Hour}, nil)
	body := strings.Repeat("x", 2<<10)
	do := always(200, body, "Content-Type: application/json", `Etag: "abc"`)
	w.next.next = do
	b.ReportAllocs()
	req := request(b, "GET /api/orders?x=1")
	for i := 0; b.Loop(); i++ {
		r := req.Clone(With(b.Context(), &Exchange{Caller: "key"}))
		r.URL.RawQuery = string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + time.Duration(i).String()
		res, err := w.next.RoundTrip(r)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
}
