package call

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"jobhub/jobs"
)

// The same name resolves to an open address first and to a blocked one afterwards.
func TestRebinding(t *testing.T) {
	for _, tc := range []struct {
		name      string
		allow     []netip.Prefix
		wantInner int64
	}{{"closed", onlyTwo, 0}, {"control", loopback, 1}} {
		t.Run(tc.name, func(t *testing.T) {
			hangUp := func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") }
			port := portOfBoth(t)
			_, outerHits := serveOn(t, "127.0.0.2:"+port, hangUp)
			_, innerHits := serveOn(t, "127.0.0.1:"+port, hangUp)

			c := newCaller(Options{Allow: tc.allow})
			var mu sync.Mutex
			answers := []string{"127.0.0.2", "127.0.0.1"}
			c.guard.Dialer.Resolver = resolver(func() []string {
				mu.Lock()
				defer mu.Unlock()
				first := answers[0]
				answers = answers[1:]
				return []string{first}
			})
			in := map[string]any{"url": "http://rebind.test:" + port + "/?t=s3cret"}
			if _, err := attempt(t, c, in); err != nil {
				t.Fatal(err)
			}
			res, err := attempt(t, c, in)
			if tc.wantInner == 0 {
				f := mustFail(t, err, jobs.BlockedAddress, true)
				if res.Response != nil || strings.Contains(f.Error(), "127.0.0.1") {
					t.Errorf("got %+v and %q", res, f.Error())
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if outerHits.Load() != 1 || innerHits.Load() != tc.wantInner {
				t.Errorf("got %d and %d requests", outerHits.Load(), innerHits.Load())
			}
		})
	}
}

// portOfBoth is a port that is free on both addresses.
func portOfBoth(t *testing.T) string {
	t.Helper()
	for range 100 {
		outer, err := net.Listen("tcp", "127.0.0.2:0")
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(outer.Addr().String())
		inner, err := net.Listen("tcp", "127.0.0.1:"+port)
		outer.Close()
		if err == nil {
			inner.Close()
			return port
		}
	}
	t.Fatal("no port is free on both addresses")
	return ""
}

// A blocked address gives the same error whether something listens there or not,
// and whatever stands beside it in the name's answer.
func TestBlockedTellsNothing(t *testing.T) {
	canary, hits := serveOn(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) {})
	_, open, _ := net.SplitHostPort(canary.Listener.Addr().String())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, shut, _ := net.SplitHostPort(l.Addr().String())
	l.Close()

	var texts []string
	for _, port := range []string{open, shut} {
		for _, answer := range [][]string{{"127.0.0.1"}, {"127.0.0.1", "127.0.0.2"}, {"127.0.0.2", "127.0.0.1"}, {"169.254.169.254"}, {"0.0.0.0"}} {
			c := newCaller(Options{Allow: onlyTwo})
			c.guard.Dialer.Resolver = resolver(func() []string { return answer })
			_, err := attempt(t, c, map[string]any{"url": "http://inside.test:" + port})
			texts = append(texts, strings.ReplaceAll(mustFail(t, err, jobs.BlockedAddress, true).Error(), port, "PORT"))
		}
	}
	if slices.Sort(texts); len(slices.Compact(texts)) != 1 {
		t.Errorf("the errors differ: %q", slices.Compact(texts))
	}
	c := newCaller(Options{})
	if _, err := attempt(t, c, map[string]any{"url": "http://localhost:" + open}); err == nil {
		t.Error("localhost was called")
	}
	if hits.Load() != 0 {
		t.Errorf("the canary got %d requests", hits.Load())
	}
	c = newCaller(Options{Allow: loopback})
	if _, err := attempt(t, c, map[string]any{"url": canary.URL}); err != nil || hits.Load() != 1 {
		t.Errorf("control: got error %v and %d requests, want 1", err, hits.Load())
	}
}
