package upstream

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jobhub/jobs"
	"jobhub/jobs/egress"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// newTransport returns a transport as routes have it.
func newTransport(t testing.TB) *egress.Transport {
	transport := egress.Unguarded(nil, egress.Outbound{})
	transport.DialContext = Track(transport.DialContext)
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func newPool(t testing.TB, o Options) *Pool {
	if o.Transport == nil {
		o.Transport = newTransport(t)
	}
	p := NewPool(o)
	t.Cleanup(p.Close)
	return p
}

func parse(t testing.TB, s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// members returns members with weight 1.
func members(t testing.TB, urls ...string) (all []Member) {
	for _, u := range urls {
		all = append(all, Member{parse(t, u), 1})
	}
	return all
}

// serve starts an HTTP server and returns its URL.
func serve(t testing.TB, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

// upstream is a server of raw connections.
type rawServer struct {
	url      string
	accepted atomic.Int64
}

// raw starts a server that gives each connection to handle, and closes it after that.
func raw(t testing.TB, handle func(net.Conn)) *rawServer {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{url: "http://" + l.Addr().String()}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.accepted.Add(1)
			handle(c)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return s
}

// readRequest reads the head of a request and as much of its body as it says.
func readRequest(c net.Conn) (*http.Request, string) {
	r, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return nil, ""
	}
	body, _ := io.ReadAll(r.Body)
	return r, string(body)
}

// reset closes a connection so that the peer sees a reset.
func reset(c net.Conn) {
	c.(*net.TCPConn).SetLinger(0)
	c.Close()
}

// refused returns the URL of a port where nothing listens.
func refused(t testing.TB) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

// request makes a request whose body can be read again.
func request(t testing.TB, method, path, body string) *http.Request {
	r, err := http.NewRequestWithContext(t.Context(), method, path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Body = io.NopCloser(strings.NewReader(body))
		r.ContentLength = int64(len(body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
	}
	return r
}

// do sends a request and returns status and body of the answer.
func do(t testing.TB, p *Pool, r *http.Request) (int, string, error) {
	t.Helper()
	res, err := p.RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

// unavailable checks that an error is a problem with status 503 and returns its Retry-After.
func unavailable(t testing.TB, err error) time.Duration {
	t.Helper()
	u, ok := errors.AsType[*Unavailable](err)
	if !ok {
		t.Fatalf("got %v, want *Unavailable", err)
	}
	p, ok := errors.AsType[*jobs.Problem](err)
	if !ok || p.Status != 503 || p.Detail == "" {
		t.Fatalf("%v is not a problem with status 503", err)
	}
	if u.RetryAfter < time.Second || u.RetryAfter%time.Second != 0 {
		t.Fatalf("Retry-After is %v", u.RetryAfter)
	}
	return u.RetryAfter
}

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) || isNetTimeout(err) }

func isNetTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}
