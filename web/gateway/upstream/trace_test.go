package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"testing"
	"testing/synctest"
	"time"
)

// roundTripper is a function as a transport.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// TestClockGoesOn: a try that fails while it is being sent does not stop the clock for the next.
func TestClockGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		transport := roundTripper(func(r *http.Request) (*http.Response, error) {
			trace := httptrace.ContextClientTrace(r.Context())
			trace.GetConn("")
			if tries++; tries == 1 {
				trace.GotConn(httptrace.GotConnInfo{})
				return nil, errors.New("reset")
			}
			<-r.Context().Done()
			return nil, context.Cause(r.Context())
		})
		p := NewPool(Options{Members: weighted(t, 1, 1), Transport: transport, Tries: 2, Timeout: time.Minute})
		began := time.Now()
		_, _, err := do(t, p, request(t, "GET", "/", ""))
		if took := time.Since(began); !isTimeout(err) || took != time.Minute || tries != 2 {
			t.Errorf("got %v after %v and %d tries", err, took, tries)
		}
	})
}

// TestSentBefore: what the transport sent on an earlier connection of the same try was sent.
func TestSentBefore(t *testing.T) {
	for _, first := range []int{0, 1} {
		var s sent
		trace := httptrace.ContextClientTrace(s.traced(t.Context(), newPatience(0, nil)))
		for _, n := range []int{first, 0} {
			a, b := net.Pipe()
			go io.Copy(io.Discard, b)
			c := &conn{Conn: a}
			trace.GetConn("")
			trace.GotConn(httptrace.GotConnInfo{Conn: c})
			if n > 0 {
				c.Write(make([]byte, n))
			}
			t.Cleanup(func() { a.Close(); b.Close() })
		}
		if nothing, connected, asked := s.end(); nothing != (first == 0) || !connected || !asked {
			t.Errorf("%d bytes before: nothing %v, connected %v, asked %v", first, nothing, connected, asked)
		}
	}
}

// TestSoonest: Retry-After is that of the member that is tried first.
func TestSoonest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(Options{Members: weighted(t, 1, 1), Breaker: Breaker{Failures: 1, Open: 10 * time.Second}})
		for range 2 {
			_, done, err := p.Pick("")
			if err != nil {
				t.Fatal(err)
			}
			done(Failure)
			time.Sleep(4 * time.Second)
		}
		_, _, err := p.Pick("")
		if after := unavailable(t, err); after != 2*time.Second {
			t.Errorf("Retry-After %v", after)
		}
	})
}

// TestLeavesDuringAnswer: a client that leaves while it reads the answer says nothing about the
// member.
func TestLeavesDuringAnswer(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	p := newPool(t, Options{Members: members(t, url), Breaker: Breaker{Failures: 1}})
	ctx, leave := context.WithCancel(t.Context())
	res, err := p.RoundTrip(request(t, "GET", "/", "").WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	leave()
	if _, err := io.ReadAll(res.Body); err == nil {
		t.Error("no error")
	}
	res.Body.Close()
	if s := p.Members()[0]; s.Failures != 0 || s.Breaker != Closed || s.InFlight != 0 {
		t.Errorf("%+v", s)
	}
}
