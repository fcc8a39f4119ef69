package call

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"jobhub/jobs"
	"jobhub/jobs/egress"
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

// A blocked address gives the same error whether something listens there or not. One that is
// open beside it in the name's answer is what counts, in whatever order they stand: that
// nothing listens there passes, and is tried again.
func TestBlockedTellsNothing(t *testing.T) {
	canary, hits := serveOn(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) {})
	_, open, _ := net.SplitHostPort(canary.Listener.Addr().String())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, shut, _ := net.SplitHostPort(l.Addr().String())
	l.Close()

	for _, kind := range []struct {
		answers [][]string
		code    jobs.Code
		never   bool
	}{
		{[][]string{{"127.0.0.1"}, {"169.254.169.254"}, {"0.0.0.0"}, {"169.254.169.254", "127.0.0.1"}}, jobs.BlockedAddress, true},
		{[][]string{{"127.0.0.1", "127.0.0.2"}, {"127.0.0.2", "127.0.0.1"}, {"0.0.0.0", "127.0.0.2", "127.0.0.1"}}, egress.UpstreamUnreachable, false},
	} {
		var texts []string
		for _, port := range []string{open, shut} {
			for _, answer := range kind.answers {
				c := newCaller(Options{Allow: onlyTwo})
				c.guard.Dialer.Resolver = resolver(func() []string { return answer })
				_, err := attempt(t, c, map[string]any{"url": "http://inside.test:" + port})
				texts = append(texts, strings.ReplaceAll(mustFail(t, err, kind.code, kind.never).Error(), port, "PORT"))
			}
		}
		if slices.Sort(texts); len(slices.Compact(texts)) != 1 {
			t.Errorf("the errors differ: %q", slices.Compact(texts))
		}
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

// The hub's own listener is called neither by a job nor by a redirect, though its range is
// open, and by whatever name; its neighbours are.
func TestOwnListenerIsNotCalled(t *testing.T) {
	hub, hits := serveOn(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) {})
	_, port, _ := net.SplitHostPort(hub.Listener.Addr().String())
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
		}
	})
	for _, listens := range []net.Addr{hub.Listener.Addr(), &net.TCPAddr{IP: net.IPv6unspecified, Port: hub.Listener.Addr().(*net.TCPAddr).Port}} {
		own := new(egress.Own)
		own.Set(listens)
		c := newCaller(Options{Allow: loopback, Own: own})
		c.guard.Dialer.Resolver = resolver(func() []string { return []string{"127.0.0.1"} })
		for _, host := range []string{"127.0.0.1", "hub.test", "[::ffff:127.0.0.1]"} {
			to := "http://" + host + ":" + port + "/v1/queues/a/pause"
			for _, url := range []string{to, other.URL + "/?to=" + to} {
				_, err := attempt(t, c, map[string]any{"url": url, "body": "x"})
				if f, ok := errors.AsType[*jobs.Failure](err); ok { // refused before a connection was made, or then
					mustFail(t, f, jobs.BlockedAddress, true)
				} else if p, ok := errors.AsType[*jobs.Problem](err); !ok || p.Code != jobs.BlockedAddress {
					t.Errorf("%s: %v", url, err)
				}
			}
		}
		if _, err := attempt(t, c, map[string]any{"url": other.URL}); err != nil {
			t.Errorf("a neighbour: %v", err)
		}
		job := &jobs.Job{Attempt: 1, Input: jobs.Value(`{"url":"` + hub.URL + `/"}`), Via: jobs.Via{Upstreams: []string{hub.URL}}}
		_, err := c.run(t.Context(), job, c.memory(1, jobs.Via{}), make(pieces, 10))
		if f := mustFail(t, err, jobs.BlockedAddress, true); !strings.Contains(f.Problem.Detail, "hub itself") {
			t.Errorf("the upstream of a route: %v", f)
		}
	}
	if hits.Load() != 0 {
		t.Errorf("the hub got %d requests", hits.Load())
	}
}
