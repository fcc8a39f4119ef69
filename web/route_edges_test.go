package web_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"jobhub/jobs/egress"
	"jobhub/web"
	"jobhub/web/gateway"
)

// routeTo is a route to an upstream at an address.
func routeTo(t *testing.T, path, upstream string) gateway.Route {
	t.Helper()
	u, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	return gateway.Route{Path: path, Upstream: u}
}

// TestBrokenBody: a body that is no HTTP is the client's fault alone. It is told once, the
// connection ends, and the upstream is not taken to be ill.
func TestBrokenBody(t *testing.T) {
	up := newUpstream(t, sample)
	early := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.WriteString(w, "early")
		w.(http.Flusher).Flush()
		io.Copy(io.Discard, r.Body)
	})
	w := startRoutes(t, up.route("/api/"), early.route("/early/"))
	const hidden = "GET /api/hidden HTTP/1.1\r\nHost: HOST\r\n\r\n"
	head := "POST /api/x HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, text := range map[string]string{
		"no size":        head + "zz\r\na\r\n0\r\n\r\n" + hidden,
		"second chunk":   head + "1\r\na\r\n-1\r\nb\r\n0\r\n\r\n" + hidden,
		"chunk too long": head + "1\r\nab\r\n0\r\n\r\n" + hidden,
		"size too large": head + "fffffffffffffffff\r\na\r\n0\r\n\r\n" + hidden,
	} {
		if got := w.exchange(text); !strings.HasPrefix(got, "HTTP/1.1 400") || strings.Count(got, "HTTP/1.1 ") != 1 || !strings.Contains(got, "did not arrive whole") {
			t.Errorf("%s: %q", name, got)
		}
	}
	if got := w.exchange(strings.Replace(head, "/api/", "/early/", 1) + "1\r\na\r\nzz\r\n" + hidden); strings.Count(got, "HTTP/1.1 ") > 1 {
		t.Errorf("after an early answer: %q", got)
	}
	if metrics := w.do("GET", "/routes", "").want(200).body; strings.Contains(metrics, "failing") {
		t.Errorf("the upstream counts as failing: %s", metrics)
	}
}

// TestMethodsOfRoutes: CONNECT and TRACE end at the hub; HEAD and OPTIONS become a job only
// when they ask for it, also where all else always does.
func TestMethodsOfRoutes(t *testing.T) {
	up := newUpstream(t, sample)
	always := up.route("/all/", func(r *gateway.Route) { r.Async = gateway.Always })
	many := gateway.Route{Path: "/many/", Async: gateway.Always, Targets: []gateway.Target{{Name: "a", Upstream: always.Upstream}}}
	w := startRoutes(t, up.route("/api/"), always, many)
	for _, path := range []string{"/api/x", "/all/x", "/many/x", "/api/x?async=true"} {
		w.do("TRACE", path, "").problem(501, "unsupported")
		if got := w.exchange("CONNECT " + path + " HTTP/1.1\r\nHost: HOST\r\n\r\nGET /api/x HTTP/1.1\r\nHost: HOST\r\n\r\n"); strings.Count(got, "HTTP/1.1 ") != 1 || !strings.HasPrefix(got, "HTTP/1.1 501") {
			t.Errorf("CONNECT %s: %q", path, got)
		}
	}
	if n := up.hits.Load(); n != 0 {
		t.Errorf("the upstream got %d requests", n)
	}
	w.do("HEAD", "/all/x", "").want(200).has("X-Saw", "HEAD /all/x 0")
	w.do("OPTIONS", "/all/x", "").want(200).has("X-Saw", "OPTIONS /all/x 0")
	w.do("OPTIONS", "/all/x", "", "Access-Control-Request-Method", "POST").want(200).has("X-Saw", "OPTIONS /all/x 0")
	w.do("OPTIONS", "/many/x", "").want(204).has("Allow", "GET, POST, PUT, PATCH, DELETE, OPTIONS")
	w.do("HEAD", "/many/x", "").want(405)
	w.nothingStored()
	w.do("HEAD", "/all/x", "", "Prefer", "respond-async").want(202)
	w.do("OPTIONS", "/all/x?async=true", "").want(202)
	w.do("OPTIONS", "/all/x", "", "Prefer", "wait=20").want(200).has("AsyncResult", "200")
	w.do("HEAD", "/many/x", "", "Prefer", "wait=20").want(200).has("AsyncResult", "200")
}

// TestEventsPassProxies: nginx passes events on as they come, unless the upstream says else.
func TestEventsPassProxies(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		if own := r.URL.Query().Get("own"); own != "" {
			w.Header().Set("X-Accel-Buffering", own)
		}
	})
	w := startRoutes(t, up.route("/api/"))
	w.do("GET", "/api/x?type=text/event-stream", "").want(200).has("X-Accel-Buffering", "no")
	w.do("GET", "/api/x?type=Text/Event-Stream%3Bcharset=utf-8", "").want(200).has("X-Accel-Buffering", "no")
	w.do("GET", "/api/x?type=text/event-stream&own=yes", "").want(200).has("X-Accel-Buffering", "yes")
	w.do("GET", "/api/x?type=text/plain", "").want(200).has("X-Accel-Buffering", "")
}

// TestTLSFailures: what is wrong with a certificate is said, straight through and as a job.
func TestTLSFailures(t *testing.T) {
	secure := func(change func(*httptest.Server)) *httptest.Server {
		s := httptest.NewUnstartedServer(http.HandlerFunc(sample))
		s.Config.ErrorLog = nil
		change(s)
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	unknown := secure(func(*httptest.Server) {})
	mutual := secure(func(s *httptest.Server) { s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert} })
	pool := x509.NewCertPool()
	pool.AddCert(unknown.Certificate())
	trusting := func(path, upstream string) gateway.Route {
		r := routeTo(t, path, upstream)
		r.Outbound = egress.Outbound{CAs: pool}
		return r
	}
	showing := trusting("/shown/", mutual.URL)
	showing.Outbound.Certificate = &unknown.TLS.Certificates[0]
	plain := newUpstream(t, sample)
	w := startRoutes(t, routeTo(t, "/unknown/", unknown.URL), trusting("/name/", strings.Replace(unknown.URL, "127.0.0.1", "localhost", 1)),
		trusting("/good/", unknown.URL), trusting("/mutual/", mutual.URL), showing, routeTo(t, "/plain/", strings.Replace(plain.URL, "http:", "https:", 1)))
	for path, want := range map[string]string{"/unknown/": "authority that is not trusted", "/name/": "for another name", "/mutual/": "client certificate", "/plain/": "does not speak TLS"} {
		for _, way := range []string{"wait=0", "respond-async, wait=20"} {
			p := w.do("GET", path, "", "Prefer", way).problem(502, "upstream_unreachable")
			if detail := fmt.Sprint(p["detail"]); !strings.Contains(detail, want) || strings.Contains(detail, "127.0.0.1:0") {
				t.Errorf("%s %s: %s", path, way, detail)
			}
		}
	}
	for _, path := range []string{"/good/x", "/shown/x"} {
		w.do("GET", path, "").want(200)
		w.do("GET", path, "", "Prefer", "respond-async, wait=20").want(200).has("AsyncResult", "200")
	}
}

// hangUp is an upstream that answers the first request of each connection, and closes the
// connection when told, behind the answer or instead of the next one.
type hangUp struct {
	url      string
	requests atomic.Int64
	close    chan struct{} // lets each answered connection go
	closed   chan struct{} // a connection is closed
}

func newHangUp(t *testing.T) *hangUp {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	u := &hangUp{url: "http://" + l.Addr().String(), close: make(chan struct{}), closed: make(chan struct{}, 100)}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				req, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				io.Copy(io.Discard, req.Body)
				u.requests.Add(1)
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				<-u.close
				conn.Close()
				u.closed <- struct{}{}
			}()
		}
	}()
	return u
}

// TestClosedConnection: that the upstream closed a kept connection before anything was sent
// over it is no failure, whatever the method and the body.
func TestClosedConnection(t *testing.T) {
	for _, size := range []int{0, 1, 3000, 200_000} {
		up := newHangUp(t)
		w := startRoutes(t, routeTo(t, "/api/", up.url))
		for range 20 {
			if got := w.do("POST", "/api/x", strings.Repeat("x", size)); got.status != 200 {
				t.Fatalf("%d bytes: %d %s", size, got.status, got.body)
			}
			up.close <- struct{}{}
			<-up.closed
		}
		if n := up.requests.Load(); n != 20 {
			t.Errorf("%d bytes: the upstream got %d requests, want 20", size, n)
		}
	}
}

// TestNoSecondPost: what may have reached the upstream is not sent again.
func TestNoSecondPost(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if strings.HasSuffix(r.URL.Path, "/break") {
			conn, _, _ := w.(http.Hijacker).Hijack()
			conn.Close()
		}
	})
	w := startRoutes(t, up.route("/api/"))
	for _, method := range []string{"POST", "PATCH"} {
		up.hits.Store(0)
		w.do("GET", "/api/x", "").want(200)
		w.do(method, "/api/break", "{}").problem(502, "upstream_unreachable")
		if n := up.hits.Load(); n != 2 {
			t.Errorf("%s: the upstream got %d requests, want 2", method, n)
		}
	}
}

// TestRouteToItself: a route that leads back to the hub fails at once instead of going round.
func TestRouteToItself(t *testing.T) {
	own := new(egress.Own)
	w := startIn(t, t.TempDir(), func(p *parts) { p.web.Own = own })
	own.Set(w.http.Listener.Addr())
	w.Apply(web.Settings{}, []gateway.Route{routeTo(t, "/api/", w.url)})
	began := time.Now()
	w.do("GET", "/api/x", "").problem(502, "blocked_address")
	if time.Since(began) > patience/2 {
		t.Error("it went round")
	}
}

// TestSizesOfRoutes: a route has its own limits on what becomes a job and on its answer. A
// call whose answer is too large is not made again.
func TestSizesOfRoutes(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Write(make([]byte, 3000))
	})
	limited := up.route("/small/", func(r *gateway.Route) { r.Outbound.MaxAnswer, r.MaxInput, r.MaxAttempts = 2048, 1024, 5 })
	w := startRoutes(t, limited, up.route("/api/"))
	w.do("POST", "/small/x?async=true", strings.Repeat("x", 1025)).problem(413, "too_large")
	for _, path := range []string{"/small/x", "/api/x"} { // straight through nothing is kept
		if got := w.do("POST", path, strings.Repeat("x", 5000)).want(200); len(got.body) != 3000 {
			t.Errorf("%s: %d bytes", path, len(got.body))
		}
	}
	up.hits.Store(0)
	p := w.do("POST", "/small/x", "x", "Prefer", "respond-async, wait=20").problem(500, "too_large")
	if detail := fmt.Sprint(p["detail"]); !strings.Contains(detail, "2 KiB") || !strings.Contains(detail, "max_answer") || up.hits.Load() != 1 {
		t.Errorf("%s, after %d calls", detail, up.hits.Load())
	}
	w.do("POST", "/api/x", strings.Repeat("x", 5000), "Prefer", "respond-async, wait=20").want(200)
}

// TestInputOfHTTPJobs: their largest input can be set; other kinds keep theirs.
func TestInputOfHTTPJobs(t *testing.T) {
	w := start(t)
	job := func(kind string, size int) string {
		return `{"kind":"` + kind + `","delay":"1h","input":{"url":"https://a.example","body":"` + strings.Repeat("x", size) + `"}}`
	}
	w.do("POST", "/v1/jobs", job("http", 3<<20)).problem(413, "too_large")
	w.Apply(web.Settings{MaxInput: 4 << 20}, nil)
	w.do("POST", "/v1/jobs", job("http", 3<<20)).want(202)
	w.do("POST", "/v1/jobs", job("http", 5<<20)).problem(413, "too_large")
	w.do("POST", "/v1/jobs", job("echo", 3<<20)).problem(413, "too_large")
	w.Apply(web.Settings{MaxInput: 1 << 10}, nil)
	w.do("POST", "/v1/jobs", job("http", 2000)).problem(413, "too_large")
	w.do("POST", "/v1/jobs", job("echo", 2000)).want(202)
}
