package upstream

import (
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"jobhub/jobs/egress"
)

// TestHTTP2: where requests share a connection, a POST that may have been sent is not sent
// again; one that a member refused to read is, as the protocol says so.
func TestHTTP2(t *testing.T) {
	var asked, served atomic.Int64
	start := func(h http.HandlerFunc) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.EnableHTTP2 = true
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	bad := start(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1); r.ProtoMajor != 2 {
			t.Error("not HTTP/2")
		}
		panic(http.ErrAbortHandler)
	})
	good := start(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body); served.Add(1) })
	roots := x509.NewCertPool()
	roots.AddCert(bad.Certificate())
	transport := egress.Unguarded(nil, egress.Outbound{CAs: roots})
	transport.DialContext = Track(transport.DialContext)
	defer transport.CloseIdleConnections()
	p := newPool(t, Options{Members: members(t, bad.URL, good.URL), Transport: transport, Tries: 2, Timeout: 10 * time.Second})
	key := keyFor(t, p, bad.URL)
	for range 3 { // on a new and on a kept connection
		for method, again := range map[string]int64{"GET": 1, "POST": 0} {
			asked.Store(0)
			served.Store(0)
			r := request(t, method, "/", map[string]string{"POST": "body"}[method])
			_, _, err := do(t, p, r.WithContext(WithCall(r.Context(), &Call{Key: key})))
			if asked.Load() != 1 || served.Load() != again || (err == nil) != (again == 1) {
				t.Errorf("%s: asked %d times, sent again %d times, error %v", method, asked.Load(), served.Load(), err)
			}
		}
	}
	bad.Close()
	transport.CloseIdleConnections() // on a kept one it is not known what was sent
	r := request(t, "POST", "/", "body")
	if status, body, err := do(t, p, r.WithContext(WithCall(r.Context(), &Call{Key: key}))); status != 200 || body != "body" {
		t.Errorf("a member that is gone: %d %q %v", status, body, err)
	}
}
