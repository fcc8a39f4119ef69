// Package cuts lets the clients of a hub leave in every way and at every moment of a call.
// The hub runs in the process of the test, which holds up its store at that moment.
package cuts

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"jobhub/cmd/jobhub/e2e/trial"
	follow "jobhub/hub"
	"jobhub/jobs"
	"jobhub/jobs/call"
	"jobhub/jobs/engine"
	"jobhub/jobs/sqlite"
	"jobhub/web"
	"jobhub/web/gateway"
)

// TestCutAnywhere lets the clients of every call that changes something leave in every way
// and at every moment of the call: an answer that says that nothing was stored is true, and
// one of success is durable.
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	c := startCuts(t)
	for _, call := range cutCalls {
		t.Run(call.name, func(t *testing.T) {
			for _, moment := range moments {
				for _, way := range ways {
					if moment != full || way == halfClose || trial.Long() { // a full disk is looked at again after half a second
						c.cut(t, call, moment, way)
					}
				}
			}
		})
	}
	if trial.Long() {
		c.random(t, rand.New(rand.NewPCG(trial.Seed(t), 7)), trial.Kills()*5)
	}
	c.reopen(t)
}

// The ways of a client to leave.
const (
	stays     = "stays"
	halfClose = "closes its sending side" // and waits for the answer
	closes    = "closes"
	resets    = "resets"
)

var ways = []string{stays, halfClose, closes, resets}

// The moments at which it leaves.
const (
	atOnce  = "at once"
	reading = "while the hub reads"             // before there is anything to store
	before  = "while the commit begins"         // which is then stored
	full    = "while the commit begins to fail" // as the disk is full
	after   = "when the commit is done, and not known to be"
)

var moments = []string{atOnce, reading, before, full, after}

// cutStore is a store that lets a test hold it up.
type cutStore struct {
	*sqlite.Store

	mu     sync.Mutex    // protects the fields below
	moment string        // at which it is held up next; empty for none
	begun  chan struct{} // closed when it is
	go_    chan struct{} // closed when it may continue
}

// arm makes the store stop at a moment.
func (s *cutStore) arm(moment string) (begun <-chan struct{}, goOn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.moment, s.begun, s.go_ = moment, make(chan struct{}), make(chan struct{})
	b, g := s.begun, s.go_
	return b, sync.OnceFunc(func() {
		s.mu.Lock()
		if s.go_ == g {
			s.moment = ""
		}
		s.mu.Unlock()
		close(g)
	})
}

// pass stops at a moment if the test wants that. True if it was so.
func (s *cutStore) pass(moment string) bool {
	s.mu.Lock()
	if s.moment != moment {
		s.mu.Unlock()
		return false
	}
	s.moment = ""
	begun, g := s.begun, s.go_
	s.mu.Unlock()
	close(begun)
	<-g
	return true
}

func (s *cutStore) Commit(ctx context.Context, b *jobs.Batch) error {
	s.pass(before)
	if s.pass(full) {
		return fmt.Errorf("%w: so the test wants it", jobs.ErrNoSpace)
	}
	err := s.Store.Commit(ctx, b)
	s.pass(after)
	return err
}

func (s *cutStore) Job(ctx context.Context, tenant string, id jobs.ID) (jobs.Job, jobs.Position, error) {
	s.pass(reading)
	return s.Store.Job(ctx, tenant, id)
}

func (s *cutStore) Documents(ctx context.Context, tenant, kind string) ([]jobs.Document, error) {
	s.pass(reading)
	return s.Store.Documents(ctx, tenant, kind)
}

// cuts is a hub in this process whose clients leave.
type cuts struct {
	dir    string
	store  *cutStore
	engine *engine.Engine
	addr   string

	mu      sync.Mutex // protects the fields below
	watches map[string]*watch

	n      int // of cases
	known  []func() (changed bool)
	lasted []lasting
	stop   func()
}

// watch is how far the hub is with the request of a case.
type watch struct {
	left chan struct{} // closed when it has noticed that the client left
	over chan struct{} // closed when it has answered
}

func (c *cuts) watch(name string) *watch {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watches[name] == nil {
		c.watches[name] = &watch{make(chan struct{}), make(chan struct{})}
	}
	return c.watches[name]
}

// lasting is a change that was answered with success, and has to be there after a restart.
type lasting struct {
	what  string
	there func(*sqlite.Store) bool
}

func startCuts(t *testing.T) *cuts {
	c := &cuts{dir: t.TempDir(), watches: map[string]*watch{}}
	store, err := sqlite.Open(t.Context(), c.dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c.store = &cutStore{Store: store}
	follower, err := follow.New(t.Context(), follow.Options{Log: store})
	if err != nil {
		t.Fatal(err)
	}
	quiet := slog.New(slog.DiscardHandler)
	echo := func(_ context.Context, run jobs.Run) (jobs.Result, error) {
		return jobs.Result{Value: run.Job().Input}, nil
	}
	if c.engine, err = engine.Open(t.Context(), engine.Options{Store: c.store, Handlers: map[string]jobs.Handler{"echo": {Run: echo}, "http": call.HTTP(call.Options{})}, Logger: quiet}); err != nil {
		t.Fatal(err)
	}
	front := web.New(web.Config{Engine: c.engine, Store: c.store, Hub: follower, Version: "test", Logger: quiet})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") }))
	at, err := url.Parse(upstream.URL)
	if err != nil {
		t.Fatal(err)
	}
	front.Apply(web.Settings{}, []gateway.Route{{Path: "/api/", Upstream: at, Queue: "routed"}})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request := c.watch(r.Header.Get("Cut"))
		defer close(request.over)
		defer context.AfterFunc(r.Context(), func() { close(request.left) })()
		front.ServeHTTP(w, r)
	}))
	c.addr = server.Listener.Addr().String()
	c.stop = sync.OnceFunc(func() {
		over, cancel := context.WithCancel(context.Background())
		cancel()
		front.Drain()
		front.Close(over)
		server.Close()
		upstream.Close()
		if err := c.engine.Close(over); err != nil {
			t.Error(err)
		}
		follower.Close()
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(c.stop)
	return c
}

// answer is what a client that is still there hears.
type cutAnswer struct {
	status int
	header http.Header
	body   string
}

// refused reports whether it says that nothing was stored.
func (a cutAnswer) refused() bool {
	return (a.status/100 == 4 || a.status == http.StatusServiceUnavailable) && a.header.Get("AsyncResult") == ""
}

// cut makes one call whose client leaves.
func (c *cuts) cut(t *testing.T, call cutCall, moment, way string) {
	t.Helper()
	c.n++
	what := fmt.Sprintf("%s, case %d: the client %s %s", call.name, c.n, way, moment)
	one := call.prepare(c, fmt.Sprint("c", c.n))
	request := c.watch(fmt.Sprint(c.n))
	conn, err := net.Dial("tcp", c.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	begun, goOn := c.store.arm(moment)
	defer goOn()
	headers := ""
	if len(one.headers) > 0 {
		headers = strings.Join(one.headers, "\r\n") + "\r\n"
	}
	if _, err := fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: %s\r\nCut: %d\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n%s",
		one.method, one.path, c.addr, c.n, len(one.body), headers, one.body); err != nil {
		t.Fatal(err)
	}
	answers := make(chan *cutAnswer, 1)
	var hearing sync.WaitGroup
	hearing.Go(func() {
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			answers <- nil
			return
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			answers <- nil
			return
		}
		answers <- &cutAnswer{res.StatusCode, res.Header, string(body)}
	})
	defer hearing.Wait()
	var a *cutAnswer
	heard := false
	if moment != atOnce {
		select {
		case <-begun:
		case a = <-answers: // there is no such moment in this call
			heard = true
		}
	}
	tcp := conn.(*net.TCPConn)
	switch way {
	case halfClose:
		tcp.CloseWrite()
	case closes:
		tcp.Close()
	case resets:
		tcp.SetLinger(0)
		tcp.Close()
	}
	if way != stays && moment != atOnce && !heard {
		select {
		case <-request.left:
		case <-request.over:
		}
	}
	goOn()
	if !heard {
		a = <-answers
	}
	if a == nil {
		if way == stays || way == halfClose {
			t.Errorf("%s: no answer", what)
		}
		<-request.over
		if moment == before || moment == after {
			if one.wait != nil {
				one.wait()
			}
		}
		c.recover()
		return
	}
	c.judge(t, what, one, a)
	c.recover()
	if way == stays && moment != full && a.status/100 != 2 || way == halfClose && moment != full && !call.polls && a.status/100 != 2 {
		t.Errorf("%s: %d %s", what, a.status, a.body)
	}
}

// recover waits until a disk that was full has space again.
func (c *cuts) recover() {
	for c.engine.Err() != nil {
		time.Sleep(10 * time.Millisecond)
	}
}

// judge compares an answer with what the store holds.
func (c *cuts) judge(t *testing.T, what string, one cutCase, a *cutAnswer) {
	t.Helper()
	switch {
	case one.judge != nil:
		if err := one.judge(a); err != nil {
			t.Errorf("%s: %d %s: %v", what, a.status, a.body, err)
		}
	case a.refused():
		if one.wait != nil {
			one.wait()
		}
		if one.changed(c.store.Store) {
			t.Errorf("%s: %d %s, and yet it was stored", what, a.status, a.body)
		}
		c.known = append(c.known, func() bool { return one.changed(c.store.Store) })
	case a.status/100 == 2:
		if !one.changed(c.store.Store) {
			t.Errorf("%s: %d %s, and nothing is stored", what, a.status, a.body)
		}
		if !one.passing {
			c.lasted = append(c.lasted, lasting{what, one.changed})
		}
	}
}

// random makes random calls while other calls run.
func (c *cuts) random(t *testing.T, rng *rand.Rand, rounds int) {
	busy, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	for i := range 4 {
		others.Go(func() {
			for busy.Err() == nil {
				c.engine.Submit(busy, jobs.Spec{Kind: "echo", Queue: "noise", Input: jobs.Value(fmt.Sprint(i)), Retention: time.Minute})
			}
		})
	}
	for range rounds {
		c.cut(t, cutCalls[rng.IntN(len(cutCalls))], moments[rng.IntN(len(moments))], ways[rng.IntN(len(ways))])
	}
	stop()
	others.Wait()
}

// reopen looks at the end whether all answers are still true, and after a restart.
func (c *cuts) reopen(t *testing.T) {
	for _, changed := range c.known {
		if changed() {
			t.Error("what was known not to be stored is there in the end")
		}
	}
	c.stop()
	store, err := sqlite.Open(t.Context(), c.dir, sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, l := range c.lasted {
		if !l.there(store) {
			t.Errorf("%s: it is gone after a restart", l.what)
		}
	}
	if len(c.lasted) < 3*len(cutCalls) || len(c.known) < len(cutCalls)/2 {
		t.Errorf("only %d successes and %d refusals were seen", len(c.lasted), len(c.known))
	}
}
