package call

import (
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
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
		f := mustFail(t, err, UpstreamStatus, want == "never")
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

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "120": 2 * time.Minute, " 5 ": 5 * time.Second, "3600": time.Hour, "3601": time.Hour,
		"99999999999999999999999": time.Hour, "9223372036854775807": time.Hour, "-5": 0, "+5": 0, "1.5": 0, "soon": 0,
		"Thu, 01 Jan 2026 12:00:30 GMT":    30 * time.Second,
		"Thu, 01 Jan 2026 11:00:00 GMT":    0,
		"Fri, 01 Jan 2027 12:00:00 GMT":    time.Hour,
		"Thursday, 01-Jan-26 12:01:00 GMT": time.Minute,
	} {
		if got := retryAfter(value, now); got != want {
			t.Errorf("%q: got %s, want %s", value, got, want)
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
	c.dialer.Resolver = resolver(func() []string { return nil })
	for url, want := range map[string]string{
		"http://" + refused:    "refused the connection",
		"https://" + plain:     "does not speak TLS",
		"http://missing.test/": "could not be resolved",
	} {
		res, err := attempt(t, c, map[string]any{"url": url + "?s3cret", "headers": map[string]string{"Authorization": "s3cret"}})
		f := mustFail(t, err, UpstreamUnreachable, false)
		if !strings.Contains(f.Problem.Detail, want) || res.Response != nil {
			t.Errorf("%s: got %q", url, f.Problem.Detail)
		}
	}
}
