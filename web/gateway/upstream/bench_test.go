package upstream

import (
	"io"
	"net/http"
	"testing"
	"time"
)

// BenchmarkRoundTrip compares requests through a pool of three with those of its transport
// alone. The transports answer at once in none, and over a real connection in socket.
func BenchmarkRoundTrip(b *testing.B) {
	transport := newTransport(b)
	url := serve(b, ok)
	for name, below := range map[string]http.RoundTripper{"none": instant{}, "socket": transport} {
		pool := newPool(b, Options{Members: append(members(b, url), members(b, url, url)...), Transport: below,
			Breaker: Breaker{Failures: 5}, Tries: 2, Timeout: time.Minute})
		for kind, rt := range map[string]http.RoundTripper{"bare": below, "pool": pool} {
			b.Run(name+"/"+kind, func(b *testing.B) {
				r := request(b, "GET", url+"/path", "")
				b.ReportAllocs()
				for b.Loop() {
					res, err := rt.RoundTrip(r)
					if err != nil {
						b.Fatal(err)
					}
					io.Copy(io.Discard, res.Body)
					res.Body.Close()
				}
			})
		}
	}
}

type instant struct{}

func (instant) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
}

func BenchmarkChoose(b *testing.B) {
	p := newPool(b, Options{Members: members(b, "http://10.0.0.1", "http://10.0.0.2", "http://10.0.0.3"), Breaker: Breaker{Failures: 5}})
	for name, key := range map[string]string{"random": "", "key": "consumer-17"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m, pass, _ := p.choose(key, time.Now(), nil)
				m.report(pass, Success, "", time.Now())
			}
		})
	}
}
