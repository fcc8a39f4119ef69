package signature

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
)

// TestForgedBodyBehindProxy: an upstream never gets a complete body that was not signed, with or
// without a length, and the proxy learns why.
func TestForgedBodyBehindProxy(t *testing.T) {
	type seen struct {
		body string
		err  error
	}
	for _, size := range []int{1, 2, 100, 200_000} {
		for _, length := range []bool{true, false} {
			arrived := make(chan seen, 1)
			upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, err := readAll(r.Body)
				arrived <- seen{body, err}
			}))
			address, err := url.Parse(upstream.URL)
			if err != nil {
				t.Fatal(err)
			}
			var v Verifier
			var failed error
			transport := &http.Transport{}
			proxy := &httputil.ReverseProxy{
				Transport:    transport,
				Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(address) },
				ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) { failed = err },
			}
			good, forged := strings.Repeat("a", size), strings.Repeat("a", size-1)+"X"
			for _, body := range []string{good, forged} {
				r := request("POST", "https://hub.example.com/", good)
				if err := Sign(r, "k1", secret, time.Now()); err != nil {
					t.Fatal(err)
				}
				r.Body = io.NopCloser(strings.NewReader(body))
				if !length {
					r.ContentLength = -1
				}
				failed = nil
				if _, err := v.Verify(r, secretOf); err != nil {
					t.Fatal(err)
				}
				proxy.ServeHTTP(httptest.NewRecorder(), r)
				if body == good {
					if got := <-arrived; failed != nil || got.err != nil || got.body != good {
						t.Errorf("%d bytes, length %t: %d bytes came through, %v, %v", size, length, len(got.body), got.err, failed)
					}
					continue
				}
				if p, ok := errors.AsType[*jobs.Problem](failed); !ok || p != errDigest {
					t.Errorf("%d bytes, length %t: the proxy's error is %v", size, length, failed)
				}
			}
			transport.CloseIdleConnections()
			upstream.Close() // returns when its handlers have
			select {
			case got := <-arrived:
				if got.err == nil {
					t.Errorf("%d bytes, length %t: a forged body of %d bytes arrived in full", size, length, len(got.body))
				}
			default: // the upstream has seen no request
			}
		}
	}
}
