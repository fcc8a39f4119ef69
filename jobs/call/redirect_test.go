package call

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"jobhub/jobs"
	"jobhub/jobs/egress"
)

func TestRedirectToBlocked(t *testing.T) {
	canary, hits := serveOn(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) {})
	_, port, _ := net.SplitHostPort(canary.Listener.Addr().String())
	outer, _ := serveOn(t, "127.0.0.2:0", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.URL.Query().Get("to")+"?s3cret")
		w.WriteHeader(http.StatusTemporaryRedirect)
	})
	for _, tc := range []struct {
		host    string
		control bool // reachable once loopback is open
	}{
		{"127.0.0.1", true}, {"inside.test", true}, {"[::ffff:127.0.0.1]", true},
		{"127.1", false}, {"2130706433", false}, {"0x7f.1", false}, {"017700000001", false}, {"[::1%25lo]", false},
	} {
		for _, allow := range [][]netip.Prefix{onlyTwo, loopback} {
			c := newCaller(Options{Allow: allow})
			c.guard.Dialer.Resolver = resolver(func() []string { return []string{"127.0.0.1"} })
			hits.Store(0)
			res, err := attempt(t, c, map[string]any{"url": outer.URL + "/?to=http://" + strings.ReplaceAll(tc.host, "%", "%25") + ":" + port + "/", "body": "x"})
			want := int64(0)
			if tc.control && len(allow) == len(loopback) {
				want = 1
				if err != nil {
					t.Errorf("%s: control: %v", tc.host, err)
				}
			} else if mustFail(t, err, jobs.BlockedAddress, true); res.Response != nil {
				t.Errorf("%s: kept the redirect as the answer: %+v", tc.host, res.Response)
			}
			if hits.Load() != want {
				t.Errorf("%s with %v: the canary got %d requests, want %d", tc.host, allow, hits.Load(), want)
			}
		}
	}
}

func TestRedirectRefused(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.URL.Query().Get("to"))
		w.WriteHeader(http.StatusFound)
		w.Write([]byte("moved"))
	})
	c := newCaller(Options{Allow: loopback})
	for _, to := range []string{"ftp://a.example/s3cret", "http://s3cret:x@127.0.0.1/", "file:///s3cret", "http://a.example:0/", "/again?to=/again"} {
		_, err := attempt(t, c, map[string]any{"url": s.URL + "/?to=" + strings.ReplaceAll(to, "?", "%3f")})
		if to == "/again?to=/again" {
			if err == nil || !strings.Contains(err.Error(), "302") {
				t.Errorf("a redirect without a location: %v", err)
			}
			continue
		}
		mustFail(t, err, egress.UpstreamStatus, true)
	}
	res, err := attempt(t, c, map[string]any{"url": s.URL + "/?to=http://127.1/", "expect": []int{302}})
	if err != nil || res.Response.Status != 302 || string(res.Response.Body) != "moved" {
		t.Errorf("an expected redirect: got %+v, %v", res.Response, err)
	}
}

func TestRedirectLimit(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var n int
		fmt.Sscanf(r.URL.Path, "/%d", &n)
		if n > 0 {
			http.Redirect(w, r, fmt.Sprintf("/%d", n-1), http.StatusSeeOther)
			return
		}
		fmt.Fprintf(w, "%s %d", r.Method, r.ContentLength)
	})
	c := newCaller(Options{Allow: loopback})
	res, err := attempt(t, c, map[string]any{"url": s.URL + "/5", "body": "x"})
	if err != nil || string(res.Response.Body) != "GET 0" {
		t.Errorf("5 redirects: %+v %v", res.Response, err)
	}
	_, err = attempt(t, c, map[string]any{"url": s.URL + "/6"})
	mustFail(t, err, egress.UpstreamStatus, true)
}

func TestRedirectHeaders(t *testing.T) {
	type seen struct{ path, auth, cookie, key, accept, idem, referer, body string }
	got := make(chan seen, 10)
	next := map[string]string{}
	h := func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- seen{r.URL.Path, r.Header.Get("Authorization"), r.Header.Get("Cookie"), r.Header.Get("X-Api-Key"),
			r.Header.Get("Accept"), r.Header.Get("Idempotency-Key"), r.Header.Get("Referer"), string(b)}
		if to := next[r.URL.Path]; to != "" {
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
		}
	}
	home, away := serve(t, h), serve(t, h)
	next["/start"] = "/moved"
	next["/moved"] = away.URL + "/away"
	next["/away"] = home.URL + "/back"
	_, err := attempt(t, newCaller(Options{Allow: loopback}), map[string]any{"url": home.URL + "/start?t=s3cret", "body": "b",
		"headers": map[string]string{"Authorization": "a", "Cookie": "c", "X-Api-Key": "k", "Accept": "*/*", "Idempotency-Key": "i"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []seen{
		{"/start", "a", "c", "k", "*/*", "i", "", "b"},
		{"/moved", "a", "c", "k", "*/*", "i", home.URL + "/start?t=s3cret", "b"},
		{"/away", "", "", "", "*/*", "i", "", "b"},
		{"/back", "", "", "", "*/*", "i", "", "b"},
	} {
		if s := <-got; s != want {
			t.Errorf("got  %+v\nwant %+v", s, want)
		}
	}
}
