package upstream

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// fakeTransport answers what it is told, in a bubble of synctest.
type fakeTransport struct {
	mu     sync.Mutex // protects the fields below
	status map[string]int
	asked  []string
}

func (f *fakeTransport) set(host string, status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status[host] = status
}

func (f *fakeTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	status := f.status[r.URL.Host]
	f.asked = append(f.asked, r.URL.String())
	f.mu.Unlock()
	if status == 0 { // hangs
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	}
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("ok"))}, nil
}

func healthy(p *Pool) (s string) {
	for _, m := range p.Members() {
		if m.Healthy {
			s += "+"
		} else {
			s += "-"
		}
	}
	return s
}

// TestHealth walks two members through checks: ill after two failures in a row, well after two
// successes, and 503 with the time of the next check when both are ill.
func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fakeTransport{status: map[string]int{"10.0.0.1:9000": 200, "10.0.0.2:9000": 302}}
		p := NewPool(Options{Members: weighted(t, 1, 1), Transport: f, Health: Health{Path: "/up?x=1", Every: 10 * time.Second}})
		p.Start()
		defer p.Close()
		const round = 11 * time.Second // at least one check of each
		expect := func(when, want string) {
			t.Helper()
			synctest.Wait()
			if got := healthy(p); got != want {
				t.Errorf("%s: %s, want %s", when, got, want)
			}
		}
		expect("at first", "++")
		time.Sleep(5 * round)
		expect("both well", "++")
		f.set("10.0.0.1:9000", 500)
		time.Sleep(2 * round)
		expect("the first is ill", "-+")
		for range 20 {
			if u, done, err := p.Pick(""); err != nil || u.Host != "10.0.0.2:9000" {
				t.Fatal("an ill member was chosen", err)
			} else {
				done(Success)
			}
		}
		f.set("10.0.0.2:9000", 0)
		time.Sleep(2*round + 5*time.Second)
		expect("the second hangs", "--")
		_, _, err := p.Pick("")
		if after := unavailable(t, err); after > 11*time.Second {
			t.Errorf("Retry-After %v is not the soonest check", after)
		}
		if why := p.Members(); !strings.Contains(why[0].Why, "500") || !strings.Contains(why[1].Why, "in time") || why[0].Since.IsZero() {
			t.Errorf("%+v", why)
		}
		f.set("10.0.0.2:9000", 200)
		time.Sleep(2*round + 5*time.Second)
		expect("the second is well again", "-+")
		if f.asked[0] != "http://10.0.0.1:9000/up?x=1" && f.asked[0] != "http://10.0.0.2:9000/up?x=1" {
			t.Errorf("asked %s", f.asked[0])
		}
	})
}

// TestFlapping: a member whose checks fail and succeed in turn keeps its state.
func TestFlapping(t *testing.T) {
	s := new(state)
	for i := range 20 {
		s.checked([]string{"down", ""}[i%2], time.Now())
		if s.ill {
			t.Fatal("it is ill")
		}
	}
	s.checked("down", time.Now())
	s.checked("down", time.Now())
	if _, ok := (&member{weight: 1, state: s}).acquire(time.Now()); ok {
		t.Error("a request passes to an ill member")
	}
	for i := range 20 {
		s.checked([]string{"", "down"}[i%2], time.Now())
		if !s.ill {
			t.Fatal("it is well")
		}
	}
}

// TestCheckReadsLittle: a check does not read an endless answer to its end.
func TestCheckReadsLittle(t *testing.T) {
	var sent atomic.Int64
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			n, err := w.Write(make([]byte, 4096))
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	})
	p := newPool(t, Options{Members: members(t, u), Health: Health{Path: "/up"}})
	if why := p.ask(t.Context(), p.members[0]); why != "" {
		t.Error(why)
	}
	p = newPool(t, Options{Members: members(t, refused(t)), Health: Health{Path: "/up"}})
	if why := p.ask(t.Context(), p.members[0]); !strings.Contains(why, "refused") {
		t.Error(why)
	}
	p = newPool(t, Options{Members: members(t, blackHole(t)), Health: Health{Path: "/up", Timeout: 50 * time.Millisecond}})
	if why := p.ask(t.Context(), p.members[0]); !strings.Contains(why, "in time") {
		t.Error(why)
	}
}

// TestKeep: a reload keeps what is known about members that stay, and nothing that the new
// settings do not ask for.
func TestKeep(t *testing.T) {
	o := Options{Members: weighted(t, 1, 1), Health: Health{Path: "/up"}, Breaker: Breaker{Failures: 1}}
	fill := func() *Pool {
		p := NewPool(o)
		_, done, _ := p.Pick("")
		done(Failure)
		_, done, _ = p.Pick("")
		done(Failure) // the other one
		p.members[0].state.checked("down", time.Now())
		p.members[0].state.checked("down", time.Now())
		return p
	}
	next := o
	next.Members = append(weighted(t, 5), Member{&url.URL{Scheme: "http", Host: "10.0.0.3:9000"}, 2})
	p, old := NewPool(next), fill()
	p.Keep(old)
	if p.budget != old.budget {
		t.Error("a reload gives a new budget of tries")
	}
	s := p.Members()
	if s[0].Healthy || s[0].Breaker != Open || s[0].Requests != 1 || s[0].Weight != 5 || !s[1].Healthy || s[1].Breaker != Closed || s[1].Requests != 0 {
		t.Errorf("%+v", s)
	}
	next.Health, next.Breaker = Health{}, Breaker{}
	p = NewPool(next)
	p.Keep(fill())
	if s := p.Members(); !s[0].Healthy || s[0].Breaker != Closed || !s[0].Usable() || s[0].Requests != 1 {
		t.Errorf("without checks and breaker: %+v", s)
	}
	p.Keep(nil)
}

// TestReloadUnderLoad: requests go on while pools are replaced, and in flight ends at 0.
func TestReloadUnderLoad(t *testing.T) {
	o := Options{Members: members(t, serve(t, ok), serve(t, ok)), Transport: newTransport(t),
		Health: Health{Path: "/", Every: time.Millisecond, Timeout: 10 * time.Second}, Breaker: Breaker{Failures: 3}, Tries: 2, Timeout: 10 * time.Second}
	var now atomic.Pointer[Pool]
	now.Store(newPool(t, o))
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for range 100 {
				if status, _, err := do(t, now.Load(), request(t, "POST", "/", "x")); status != 200 {
					t.Error(status, err)
				}
			}
		})
	}
	for range 20 {
		p := NewPool(o)
		old := now.Load()
		p.Keep(old)
		p.Start()
		now.Store(p)
		old.Close()
	}
	group.Wait()
	now.Load().Close()
	sum := int64(0)
	for _, m := range now.Load().Members() {
		if sum += m.Requests; m.InFlight != 0 || m.Failures != 0 {
			t.Errorf("%+v", m)
		}
	}
	if sum != 400 {
		t.Errorf("%d requests were counted", sum)
	}
}

func ok(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }
