package call

import (
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"jobhub/jobs"
	"jobhub/jobs/egress"
)

// proxyServer is a HTTP proxy that keeps what it was asked for.
func proxyServer(t *testing.T, asked chan<- string) *url.URL {
	t.Helper()
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.RequestURI
		if r.Method == http.MethodConnect {
			_, port, _ := net.SplitHostPort(r.Host)
			up, err := net.Dial("tcp", "127.0.0.1:"+port)
			if err != nil {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			conn, _, _ := w.(http.Hijacker).Hijack()
			io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
			go func() { io.Copy(up, conn); up.Close() }()
			io.Copy(conn, up)
			conn.Close()
			return
		}
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
			return
		}
		io.WriteString(w, "by proxy")
	})
	u, _ := url.Parse(s.URL)
	return u
}

// With a proxy it alone is dialled, wherever it is; what it is asked for is judged before,
// by all addresses of the name, as the proxy may take any.
func TestProxy(t *testing.T) {
	asked := make(chan string, 10)
	proxy := new(egress.OutboundSetting)
	proxy.Set(egress.Outbound{Proxy: proxyServer(t, asked)})
	addresses := map[string][]string{"open.test.": {"127.0.0.2"}, "mixed.test.": {"127.0.0.2", "127.0.0.1"}, "closed.test.": {"10.0.0.1"}}
	c := newCaller(Options{Allow: onlyTwo, Outbound: proxy})
	name := "open.test."
	c.guard.Dialer.Resolver = resolver(func() []string { return addresses[name] })
	for _, tc := range []struct {
		name, url string
		blocked   bool
	}{
		{"open.test.", "http://open.test/x?y", false}, {"", "http://127.0.0.2/x", false},
		{"mixed.test.", "http://mixed.test/", true}, {"closed.test.", "http://closed.test/", true}, {"", "http://127.0.0.1/", true},
	} {
		name = tc.name
		job := map[string]any{"url": tc.url}
		res, err := attempt(t, c, job)
		if tc.blocked {
			if f := err; !strings.Contains(f.Error(), "not public") && !strings.Contains(f.Error(), "not a public") {
				t.Errorf("%s: %v", tc.url, err)
			}
			if len(asked) > 0 {
				t.Errorf("%s: the proxy was asked for %s", tc.url, <-asked)
			}
			continue
		}
		if err != nil || string(res.Response.Body) != "by proxy" || <-asked != "GET "+tc.url {
			t.Errorf("%s: %+v %v", tc.url, res.Response, err)
		}
	}
	name = "missing.test."
	mustFail(t, second(attempt(t, c, map[string]any{"url": "http://missing.test/"})), egress.UpstreamUnreachable, false)
	name = "open.test."
	_, err := attempt(t, c, map[string]any{"url": "http://open.test/?to=http://127.0.0.1/"})
	mustFail(t, err, jobs.BlockedAddress, true)
	<-asked

	proxy.Set(egress.Outbound{Proxy: &url.URL{Scheme: "http", Host: "127.0.0.1:1"}}) // counts from the next call on
	mustFail(t, second(attempt(t, c, map[string]any{"url": "http://open.test/"})), egress.UpstreamUnreachable, false)
}

func TestProxyTLS(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "end to end") }))
	defer s.Close()
	pool := x509.NewCertPool()
	pool.AddCert(s.Certificate())
	asked := make(chan string, 10)
	proxy := new(egress.OutboundSetting)
	proxy.Set(egress.Outbound{Proxy: proxyServer(t, asked), CAs: pool})
	res, err := attempt(t, newCaller(Options{Allow: loopback, Outbound: proxy}), map[string]any{"url": s.URL})
	if err != nil || string(res.Response.Body) != "end to end" {
		t.Errorf("%+v %v", res.Response, err)
	}
	if got := <-asked; got != "CONNECT "+strings.TrimPrefix(s.URL, "https://") {
		t.Error(got)
	}
}

// A limit on answers can be set, and changed.
func TestMaxAnswer(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 5000)) })
	limit := new(egress.OutboundSetting)
	c := newCaller(Options{Allow: loopback, Outbound: limit})
	for _, tc := range []struct {
		most int64
		fits bool
	}{{0, true}, {4096, false}, {5000, true}} {
		limit.Set(egress.Outbound{MaxAnswer: tc.most})
		job := &jobs.Job{Attempt: 1, Input: jobs.Value(`{"url":"` + s.URL + `"}`)}
		_, err := c.run(t.Context(), job, c.memory(1, job.Via), make(pieces, 10))
		if tc.fits && err != nil {
			t.Errorf("%d: %v", tc.most, err)
		} else if !tc.fits {
			if f := mustFail(t, err, jobs.TooLarge, true); !strings.Contains(f.Problem.Detail, "4 KiB") {
				t.Error(f)
			}
		}
	}
}
