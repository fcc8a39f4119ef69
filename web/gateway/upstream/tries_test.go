package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// keyFor returns a key whose requests have that member first.
func keyFor(t *testing.T, p *Pool, member string) string {
	for i := range 1000 {
		key := fmt.Sprint(i)
		if m := p.byKey(key, time.Now(), nil); m.name == member {
			return key
		}
	}
	t.Fatal("no key for " + member)
	return ""
}

// TestTries: what a request that first meets a bad member gets, by method and by how the
// member fails. The other member always answers 200.
func TestTries(t *testing.T) {
	head := func(c net.Conn) { readRequest(c) }
	answer := func(status string) func(net.Conn) {
		return func(c net.Conn) {
			head(c)
			io.WriteString(c, "HTTP/1.1 "+status+"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		}
	}
	kinds := map[string]struct {
		bad    func(t *testing.T) string
		anyway bool // nothing is sent, so that any request may be sent again
		status int  // of an answer that is passed on, or tried again for safe methods only
	}{
		"refused":             {bad: func(t *testing.T) string { return refused(t) }, anyway: true},
		"name does not exist": {bad: func(t *testing.T) string { return "http://upstream.invalid" }, anyway: true},
		"TLS fails": {bad: func(t *testing.T) string {
			return strings.Replace(raw(t, func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 \r\n\r\n") }).url, "http:", "https:", 1)
		}, anyway: true},
		"reset after the request": {bad: func(t *testing.T) string { return raw(t, func(c net.Conn) { head(c); reset(c) }).url }},
		"closed without answer":   {bad: func(t *testing.T) string { return raw(t, head).url }},
		"half a header": {bad: func(t *testing.T) string {
			return raw(t, func(c net.Conn) { head(c); io.WriteString(c, "HTTP/1.1 200 OK\r\nConte") }).url
		}},
		"502": {bad: func(t *testing.T) string { return raw(t, answer("502 x")).url }, status: 502},
		"503": {bad: func(t *testing.T) string { return raw(t, answer("503 x\r\nRetry-After: 9")).url }, status: 503},
		"504": {bad: func(t *testing.T) string { return raw(t, answer("504 x")).url }, status: 504},
	}
	requests := []struct {
		method, key  string
		safe, repeat bool
	}{{"GET", "", true, true}, {"HEAD", "", true, true}, {"POST", "", false, false}, {"PUT", "", false, false}, {"PATCH", "", false, false}, {"DELETE", "", false, false}, {"POST", "k", false, true}}
	for name, kind := range kinds {
		t.Run(name, func(t *testing.T) {
			bad := kind.bad(t)
			var served atomic.Int64
			good := serve(t, func(w http.ResponseWriter, r *http.Request) {
				served.Add(1)
				body, _ := io.ReadAll(r.Body)
				fmt.Fprintf(w, "%s %s", r.Method, body)
			})
			for _, c := range requests {
				for _, tries := range []int{1, 2} {
					p := newPool(t, Options{Members: members(t, bad, good), Tries: tries, Timeout: 10 * time.Second})
					served.Store(0)
					sent := ""
					if c.method != "GET" && c.method != "HEAD" {
						sent = "what is sent"
					}
					r := request(t, c.method, "/x", sent)
					if c.key != "" {
						r.Header.Set("Idempotency-Key", c.key)
					}
					call := &Call{Key: keyFor(t, p, bad)}
					status, body, err := do(t, p, r.WithContext(WithCall(r.Context(), call)))
					again := tries == 2 && (kind.anyway || c.safe || kind.status == 0 && c.repeat)
					what := fmt.Sprintf("%s %s, %d tries", c.method, c.key, tries)
					if again {
						want := c.method + " " + sent
						if c.method == "HEAD" {
							want = ""
						}
						if err != nil || status != 200 || body != want || call.Tries != 2 || !call.Connected || served.Load() != 1 || call.Member.String() != good {
							t.Errorf("%s: got %d %q %v after %d tries", what, status, body, err, call.Tries)
						}
					} else if served.Load() != 0 || status != kind.status || (err == nil) != (kind.status != 0) || call.Tries != 1 || call.Connected == kind.anyway || call.Member.String() != bad {
						t.Errorf("%s: got %d %q %v after %d tries; the other member had %d requests", what, status, body, err, call.Tries, served.Load())
					}
					if s := p.Members(); s[0].Failures != 1 || s[0].InFlight != 0 || s[1].InFlight != 0 || s[1].Failures != 0 {
						t.Errorf("%s: %+v", what, s)
					}
				}
			}
		})
	}
}

// TestBodyGone: a request is not sent again when its body cannot be read again.
func TestBodyGone(t *testing.T) {
	good := serve(t, func(http.ResponseWriter, *http.Request) {})
	for name, get := range map[string]func() (io.ReadCloser, error){
		"no GetBody": nil, "too long": func() (io.ReadCloser, error) { return nil, errors.New("gone") },
	} {
		p := newPool(t, Options{Members: members(t, refused(t), good), Tries: 2})
		r := request(t, "POST", "/", "body")
		r.GetBody = get
		if _, _, err := do(t, p, r.WithContext(WithCall(r.Context(), &Call{Key: keyFor(t, p, p.members[0].name)}))); err == nil {
			t.Errorf("%s: it was sent again", name)
		}
	}
}

// slowBody gives its first part, and the rest when it is told.
type slowBody struct {
	first bool
	rest  chan struct{}
}

func (b *slowBody) Read(p []byte) (int, error) {
	if !b.first {
		b.first = true
		return copy(p, "first"), nil
	}
	<-b.rest
	return 0, io.EOF
}
func (b *slowBody) Close() error { return nil }

// TestBodyUnderWay: a request whose body is still being read from the client is not sent again,
// as the bytes of that read would be lost.
func TestBodyUnderWay(t *testing.T) {
	b := &bodyOnce{from: &slowBody{rest: make(chan struct{})}}
	b.Read(make([]byte, 10))
	done := make(chan struct{})
	go func() { b.Read(make([]byte, 10)); close(done) }()
	for { // until the read is under way
		b.mu.Lock()
		reading := b.reading
		b.mu.Unlock()
		if reading {
			break
		}
	}
	if b.end() {
		t.Error("a read was under way")
	}
	close(b.from.(*slowBody).rest)
	<-done
	if !b.end() {
		t.Error("no read is under way")
	}
	if n, err := b.Read(make([]byte, 10)); n > 0 || err == nil {
		t.Errorf("read %d bytes after the end: %v", n, err)
	}
}

type brokenBody struct{}

func (brokenBody) Read([]byte) (int, error) { return 0, errors.New("the client has gone") }
func (brokenBody) Close() error             { return nil }

// TestNotTheMembersFault: a client that leaves or breaks off and a request that is not valid do
// not count against a member, and are not sent again.
func TestNotTheMembersFault(t *testing.T) {
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	arrived := make(chan struct{}, 1)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	for name, send := range map[string]func(p *Pool) error{
		"leaves": func(p *Pool) error {
			ctx, leave := context.WithCancel(t.Context())
			go func() { <-arrived; leave() }()
			_, _, err := do(t, p, request(t, "GET", "/", "").WithContext(ctx))
			return err
		},
		"breaks off": func(p *Pool) error {
			r := request(t, "PUT", "/", "x")
			r.Body, r.ContentLength = brokenBody{}, -1
			r.GetBody = func() (io.ReadCloser, error) { return brokenBody{}, nil }
			_, _, err := do(t, p, r)
			return err
		},
		"not valid": func(p *Pool) error {
			r := request(t, "GET", "/", "")
			r.Header["Bad Name"] = []string{"x"}
			_, _, err := do(t, p, r)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, Options{Members: members(t, url), Tries: 3, Breaker: Breaker{Failures: 1}})
			if err := send(p); err == nil {
				t.Error("no error")
			}
			if s := p.Members()[0]; s.Failures != 0 || s.Requests != 1 || s.Breaker != Closed || s.InFlight != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestCutAnswer: an answer that breaks off is an error for the reader, counts as a failure, and
// is not tried again.
func TestCutAnswer(t *testing.T) {
	s := raw(t, func(c net.Conn) {
		readRequest(c)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
	})
	p := newPool(t, Options{Members: members(t, s.url), Tries: 3, Breaker: Breaker{Failures: 1}})
	status, body, err := do(t, p, request(t, "GET", "/", ""))
	if status != 200 || body != "half" || err == nil {
		t.Errorf("got %d %q %v", status, body, err)
	}
	if m := p.Members()[0]; m.Failures != 1 || m.InFlight != 0 || m.Breaker != Open || s.accepted.Load() != 1 {
		t.Errorf("%+v", m)
	}
	_, _, err = do(t, p, request(t, "GET", "/", ""))
	unavailable(t, err)
}

// TestInFlight: a request is in flight until the body of its answer is closed.
func TestInFlight(t *testing.T) {
	p := newPool(t, Options{Members: members(t, serve(t, func(http.ResponseWriter, *http.Request) {}))})
	res, err := p.RoundTrip(request(t, "GET", "/", ""))
	if err != nil {
		t.Fatal(err)
	}
	if n := p.Members()[0].InFlight; n != 1 {
		t.Errorf("%d in flight", n)
	}
	res.Body.Close()
	res.Body.Close()
	if n := p.Members()[0].InFlight; n != 0 {
		t.Errorf("%d in flight after the end", n)
	}
}

// TestNoStorm: when all members fail, the budget bounds what they get.
func TestNoStorm(t *testing.T) {
	var got atomic.Int64
	urls := make([]string, 3)
	for i := range urls {
		urls[i] = serve(t, func(w http.ResponseWriter, r *http.Request) { got.Add(1); w.WriteHeader(503) })
	}
	p := newPool(t, Options{Members: members(t, urls...), Tries: 3})
	for range 100 {
		if status, _, err := do(t, p, request(t, "GET", "/", "")); status != 503 {
			t.Fatal(status, err)
		}
	}
	if n := got.Load(); n > 100+10+20 || n < 110 {
		t.Errorf("the members got %d requests for 100", n)
	}
}

// TestRetryAfter: a member that says when to come back is not asked again at once, another one
// is.
func TestRetryAfter(t *testing.T) {
	var got atomic.Int64
	busy := func(w http.ResponseWriter, r *http.Request) {
		got.Add(1)
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(503)
	}
	p := newPool(t, Options{Members: members(t, serve(t, busy)), Tries: 3})
	if status, _, _ := do(t, p, request(t, "GET", "/", "")); status != 503 || got.Load() != 1 {
		t.Errorf("one member: %d after %d requests", status, got.Load())
	}
	got.Store(0)
	p = newPool(t, Options{Members: members(t, serve(t, busy), serve(t, busy)), Tries: 3})
	if status, _, _ := do(t, p, request(t, "GET", "/", "")); status != 503 || got.Load() != 2 {
		t.Errorf("two members: %d after %d requests", status, got.Load())
	}
}
