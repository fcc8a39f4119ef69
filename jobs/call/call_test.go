package call

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/egress"
)

func TestRequest(t *testing.T) {
	type seen struct {
		method, body string
		header       http.Header
	}
	got := make(chan seen, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		got <- seen{r.Method, string(b), r.Header}
	})
	c := newCaller(Options{Allow: loopback})
	const id = "0197f000-0000-7000-8000-000000000001"
	for name, tc := range map[string]struct {
		in           map[string]any
		method, body string
		header       map[string]string // "" for absent
	}{
		"plain": {map[string]any{}, "GET", "", map[string]string{
			"User-Agent": "jobhub", "Idempotency-Key": id, "Jobhub-Attempt": "3", "Accept-Encoding": "", "Content-Type": ""}},
		"null body":  {map[string]any{"body": nil}, "GET", "", nil},
		"text":       {map[string]any{"body": "a=b\n"}, "POST", "a=b\n", map[string]string{"Content-Type": ""}},
		"empty text": {map[string]any{"body": ""}, "POST", "", nil},
		"json": {map[string]any{"body": jobs.Value(`{"n":12345678901234567890.10,"base64":"eA=="}`)}, "POST",
			`{"n":12345678901234567890.10,"base64":"eA=="}`, map[string]string{"Content-Type": "application/json"}},
		"number": {map[string]any{"body": jobs.Value(`1e400`)}, "POST", `1e400`, nil},
		"typed": {map[string]any{"body": []int{1}, "headers": map[string]string{"content-type": "application/x+json"}}, "POST",
			`[1]`, map[string]string{"Content-Type": "application/x+json"}},
		"bytes": {map[string]any{"body": map[string]string{"base64": "AP8="}, "method": "put"}, "PUT", "\x00\xff", map[string]string{"Content-Type": ""}},
		"other": {map[string]any{"method": "PURGE"}, "PURGE", "", nil},
		"own headers": {map[string]any{"headers": map[string]string{"user-agent": "me", "idempotency-key": "k", "Accept-Encoding": "gzip", "X-Empty": ""}}, "GET", "",
			map[string]string{"User-Agent": "me", "Idempotency-Key": "k", "Accept-Encoding": "gzip"}},
	} {
		t.Run(name, func(t *testing.T) {
			tc.in["url"] = s.URL
			if _, err := attempt(t, c, tc.in); err != nil {
				t.Fatal(err)
			}
			r := <-got
			if r.method != tc.method || r.body != tc.body {
				t.Errorf("the upstream got %s %q, want %s %q", r.method, r.body, tc.method, tc.body)
			}
			for name, want := range tc.header {
				if v := r.header.Get(name); v != want {
					t.Errorf("the upstream got %s: %q, want %q", name, v, want)
				}
			}
		})
	}
}

func TestNoProxyFromEnvironment(t *testing.T) {
	proxy, proxied := serveOn(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) {})
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	s, hits := serveOn(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) {})
	target := strings.Replace(s.URL, "127.0.0.1", "upstream.test", 1)
	c := newCaller(Options{Allow: loopback})
	c.guard.Dialer.Resolver = resolver(func() []string { return []string{"127.0.0.1"} })
	if _, err := attempt(t, c, map[string]any{"url": target}); err != nil {
		t.Fatal(err)
	}
	if proxied.Load() != 0 || hits.Load() != 1 {
		t.Errorf("the proxy got %d requests, the upstream %d", proxied.Load(), hits.Load())
	}
	req, _ := http.NewRequest("GET", target, nil)
	if u, err := http.ProxyFromEnvironment(req); err != nil || u == nil { // net/http reads it once per process
		t.Errorf("control: the environment names no proxy: %v %v", u, err)
	}
}

// A kept connection that breaks must not make net/http send a POST again.
func TestNoHiddenRepetition(t *testing.T) {
	breaks, hits := serveOn(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/break" {
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Close()
		}
	})
	c := newCaller(Options{Allow: loopback})
	post := func(path string) error {
		_, err := attempt(t, c, map[string]any{"url": breaks.URL + path, "body": "x", "headers": map[string]string{"X-Idempotency-Key": "k"}})
		return err
	}
	if err := post("/"); err != nil {
		t.Fatal(err)
	}
	mustFail(t, post("/break"), egress.UpstreamUnreachable, false)
	if n := hits.Load(); n != 2 {
		t.Errorf("the upstream got %d requests, want 2", n)
	}

	hits.Store(0) // the control: with the usual spelling it does
	if err := post("/"); err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequest("POST", breaks.URL+"/break", strings.NewReader("x"))
	req.Header.Set("Idempotency-Key", "k")
	if _, err := c.transport.RoundTrip(req); err == nil || hits.Load() != 3 {
		t.Errorf("control: got error %v and %d requests, want 3", err, hits.Load())
	}
}

func TestHTTP2(t *testing.T) {
	proto := make(chan string, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proto <- r.Proto + " " + r.Header.Get("Idempotency-Key")
	}))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	in := map[string]any{"url": s.URL, "headers": map[string]string{"Idempotency-Key": "k"}}

	f := mustFail(t, second(attempt(t, newCaller(Options{Allow: loopback}), in)), egress.UpstreamUnreachable, false)
	if !strings.Contains(f.Problem.Detail, "certificate") {
		t.Errorf("an unknown issuer: got %q", f.Problem.Detail)
	}
	trusted := new(egress.OutboundSetting)
	c := newCaller(Options{Allow: loopback, Outbound: trusted})
	mustFail(t, second(attempt(t, c, in)), egress.UpstreamUnreachable, false)
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	trusted.Set(egress.Outbound{CAs: pool}) // counts from the next call on
	if _, err := attempt(t, c, in); err != nil {
		t.Fatal(err)
	}
	if got := <-proto; got != "HTTP/2.0 k" {
		t.Errorf("the upstream got %s", got)
	}
}

func TestContextEnds(t *testing.T) {
	started := make(chan struct{}, 1)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			w.Write([]byte("begin"))
			w.(http.Flusher).Flush()
		}
		started <- struct{}{}
		<-r.Context().Done()
	})
	c := newCaller(Options{Allow: loopback})
	for _, path := range []string{"/", "/body"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		go func() {
			<-started
			cancel(jobs.ErrCancelRequested)
		}()
		if _, err := attemptWith(ctx, t, c, map[string]any{"url": s.URL + path}, make(pieces, 10)); !errors.Is(err, jobs.ErrCancelRequested) {
			t.Errorf("cancelled at %s: got %v", path, err)
		}
		ctx, stop := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, jobs.ErrTimeout)
		if _, err := attemptWith(ctx, t, c, map[string]any{"url": s.URL + path}, make(pieces, 10)); !errors.Is(err, jobs.ErrTimeout) {
			t.Errorf("timed out at %s: got %v", path, err)
		}
		stop()
		select { // a timeout may come before the server has seen the request
		case <-started:
		default:
		}
	}
}
