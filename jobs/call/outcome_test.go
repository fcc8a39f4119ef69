package call

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"jobhub/jobs/egress"
)

func TestOutcome(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var status int
		fmt.Sscanf(r.URL.Path, "/%d", &status)
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(status)
		if status != 304 {
			w.Write([]byte("answer"))
		}
	})
	c := newCaller(Options{Allow: loopback})
	for status, want := range map[int]string{
		200: "ok", 201: "ok", 206: "ok", 299: "ok", 409: "ok", 503: "ok", // the last two are expected
		300: "never", 304: "never", 400: "never", 401: "never", 404: "never", 410: "never", 422: "never", 600: "never", 999: "never",
		408: "retry", 425: "retry", 429: "retry", 500: "retry", 501: "retry", 502: "retry", 504: "retry", 599: "retry",
	} {
		res, err := attempt(t, c, map[string]any{"url": fmt.Sprintf("%s/%d?s3cret", s.URL, status), "expect": []int{409, 503}})
		if res.Response == nil || res.Response.Status != status || status != 304 && string(res.Response.Body) != "answer" {
			t.Errorf("%d: the answer was not kept: %+v", status, res.Response)
		}
		if want == "ok" {
			if err != nil {
				t.Errorf("%d: %v", status, err)
			}
			continue
		}
		f := mustFail(t, err, egress.UpstreamStatus, want == "never")
		wantAfter := 7 * time.Second
		if f.Never {
			wantAfter = 0
		}
		if f.After != wantAfter {
			t.Errorf("%d: after %s, want %s", status, f.After, wantAfter)
		}
		if status == 502 && f.Problem.Detail != "The upstream answered 502 Bad Gateway." {
			t.Errorf("got %q", f.Problem.Detail)
		}
	}
}

func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused := l.Addr().String()
	l.Close()
	plain := strings.TrimPrefix(serve(t, func(http.ResponseWriter, *http.Request) {}).URL, "http://")
	c := newCaller(Options{Allow: loopback})
	c.guard.Dialer.Resolver = resolver(func() []string { return nil })
	for url, want := range map[string]string{
		"http://" + refused:    "refused the connection",
		"https://" + plain:     "does not speak TLS",
		"http://missing.test/": "could not be resolved",
	} {
		res, err := attempt(t, c, map[string]any{"url": url + "?s3cret", "headers": map[string]string{"Authorization": "s3cret"}})
		f := mustFail(t, err, egress.UpstreamUnreachable, false)
		if !strings.Contains(f.Problem.Detail, want) || res.Response != nil {
			t.Errorf("%s: got %q", url, f.Problem.Detail)
		}
	}
}
