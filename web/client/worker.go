package client

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Worker runs jobs for a hub, from any machine. What its Handle may rely on:
//
//   - At most Slots attempts run at a time. The lease of each is renewed until its outcome
//     is accepted.
//   - The context of an attempt ends when the attempt should stop, and [context.Cause] says
//     why: [ErrCancelled], [ErrLeaseLost], [ErrTimeout] or [ErrDraining].
//   - Its outcome is sent until the hub has answered. A restart of the hub ends no attempt:
//     the worker registers again, and the leases stay valid.
//   - An attempt whose lease was lost no longer changes anything on the hub.
type Worker struct {
	Client *Client  // the hub; one on this machine if nil
	Name   string   // for operators; up to 128 bytes
	Kinds  []string // kinds of the jobs that it takes; at least one
	Queues []string // queues that it takes jobs from; all if empty
	Slots  int      // attempts at the same time; 1 if 0

	// Handle runs one attempt. A result that is not nil is stored as JSON. An error fails the
	// attempt, which is then repeated as the job's retry settings say; [Permanent], [After],
	// [Snooze] and [Release] make errors that say otherwise.
	Handle func(ctx context.Context, run *Run) (result any, err error)

	Grace  time.Duration // how long running attempts may take to finish when the worker stops; then they are released
	Logger *slog.Logger  // nil for no log
}

// Run takes and runs jobs until ctx ends or the hub says terminate; then it takes no further
// jobs, releases those that don't finish within Grace, and returns nil. An error means that
// the hub refuses this worker.
func (w *Worker) Run(ctx context.Context) error {
	s := &shift{Worker: *w, runs: map[string]*Run{}, changed: make(chan struct{}), beat: maxPause}
	s.Slots = max(s.Slots, 1)
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	s.client = Client{}
	if w.Client != nil {
		s.client = *w.Client
	}
	if s.client.HTTP == nil {
		transport := http.DefaultTransport.(*http.Transport).Clone()
		transport.MaxIdleConnsPerHost = s.Slots + 4 // every attempt may have a request open
		s.client.HTTP = &http.Client{Transport: transport}
		defer transport.CloseIdleConnections()
	}
	return s.run(ctx)
}

// shift is one call of Run:
//
//	run            until the worker stops
//	  work           asks for jobs, or listens for directives while all slots are taken
//	    attempt        one goroutine each: Handle, then end
//	      send           sends reports while there are some
//	  renew          renews all leases together
//	  drain          waits for the attempts, releases the rest
type shift struct {
	Worker
	client  Client
	stop    context.CancelFunc // begins to drain
	calling context.Context    // for calls, which continue while the worker drains

	registering sync.Mutex
	renewing    sync.WaitGroup

	mu      sync.Mutex // protects the fields below
	id      string
	beat    time.Duration // between renewals
	poll    time.Duration // how long a poll may wait
	runs    map[string]*Run
	settled recent // leases whose outcome the hub has; an answer sent before that may still list them
	quiet   bool
	changed chan struct{} // closed and replaced when an attempt ends
	back    chan struct{} // closed and replaced when the hub answers again after a failure; nil if it did not fail
}

// mostPause is the longest pause before a call is sent again: a hub that has restarted should
// get the outcomes soon.
const mostPause = 2 * time.Second

// unwind is how long a handler may take to return after its context has ended.
const unwind = 10 * time.Second

func (s *shift) run(ctx context.Context) error {
	working, stop := context.WithCancel(ctx)
	defer stop()
	calling, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	s.stop, s.calling = stop, calling

	err := s.work(working)
	stop()
	s.drain()
	if id := s.name(); id != "" {
		leaving, cancel := context.WithTimeout(calling, farewell)
		defer cancel()
		s.call(leaving, 0, http.MethodDelete, "/v1/workers/"+id, nil, nil) // if it fails, the hub removes the worker later
	}
	hangUp()
	s.renewing.Wait()
	return err
}

// work takes jobs until ctx ends, or until the hub refuses this worker.
func (s *shift) work(ctx context.Context) error {
	for failures := 0; ctx.Err() == nil; {
		err := s.turn(ctx)
		switch {
		case err == nil:
			failures = 0
		case ctx.Err() != nil:
		case !again(err):
			return err
		default:
			failures++
			s.wait(ctx, "asking for jobs", failures, err)
		}
	}
	return nil
}

func (s *shift) turn(ctx context.Context) error {
	s.mu.Lock()
	id, free, quiet, changed := s.id, s.Slots-len(s.runs), s.quiet, s.changed
	s.mu.Unlock()
	switch {
	case id == "":
		return s.register(ctx, id)
	case quiet:
		<-ctx.Done()
		return nil
	case free > 0:
		return s.lease(ctx, free)
	}
	return s.listen(ctx, changed)
}

// drain lets attempts finish, then tells them to stop, then releases the rest.
func (s *shift) drain() {
	if s.idle(s.Grace) {
		return
	}
	for _, r := range s.held() {
		r.cancel(ErrDraining)
	}
	if s.idle(unwind) {
		return
	}
	for _, r := range s.held() {
		if r.ended.CompareAndSwap(false, true) {
			s.Logger.Error("a handler does not return; its job is released anyway", "job", r.Job.ID)
			go s.end(r, outcome{"release", nil})
		}
	}
	s.idle(patience)
}

// idle waits until nothing runs; false if that takes too long.
func (s *shift) idle(most time.Duration) bool {
	for late := time.After(most); ; {
		s.mu.Lock()
		n, changed := len(s.runs), s.changed
		s.mu.Unlock()
		if n == 0 {
			return true
		}
		select {
		case <-changed:
		case <-late:
			return false
		}
	}
}

func (s *shift) held() (runs []*Run) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.runs {
		runs = append(runs, r)
	}
	return runs
}

func (s *shift) name() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

// wait waits after a failure, at most until the hub answers another call of this worker. It
// returns false if ctx has ended.
func (s *shift) wait(ctx context.Context, doing string, failures int, err error) bool {
	s.mu.Lock()
	longest := min(firstPause<<min(failures-1, 16), mostPause, s.beat)
	if s.back == nil {
		s.back = make(chan struct{})
	}
	back := s.back
	s.mu.Unlock()
	pause := rand.N(longest)       // random, so that the workers of a restarted hub don't all call at once
	if p, ok := problem(err); ok { // the hub has answered, so an answer to another call does not end the pause
		pause += min(p.RetryAfter, maxPause)
		back = nil
	}
	level := slog.LevelDebug
	if failures&(failures-1) == 0 { // the first, and then ever more rarely
		level = slog.LevelWarn
	}
	s.Logger.Log(ctx, level, "will try again", "doing", doing, "failures", failures, "error", err, "pause", pause)
	select {
	case <-back:
		return true
	case <-time.After(pause):
		return true
	case <-ctx.Done():
		return false
	}
}

// answered ends the pauses of all calls that wait until the hub answers again.
func (s *shift) answered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.back != nil {
		close(s.back)
		s.back = nil
	}
}

// recent is a bounded memory of leases.
type recent struct {
	order []string
	known map[string]bool
}

// add remembers a lease, and forgets those before the last most.
func (r *recent) add(lease string, most int) {
	if r.known == nil {
		r.known = map[string]bool{}
	}
	r.known[lease] = true
	for r.order = append(r.order, lease); len(r.order) > most; r.order = r.order[1:] {
		delete(r.known, r.order[0])
	}
}

// sleep reports false if ctx ended it.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
