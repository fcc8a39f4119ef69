package upstream

import (
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// Outcome is what a request tells about the member that it was sent to.
type Outcome uint8

const (
	Unknown Outcome = iota // nothing, as the caller left or the request itself was wrong
	Success
	Failure // no whole answer, or one with a 5xx
)

// OutcomeOf returns the outcome of an answer with that status.
func OutcomeOf(status int) Outcome {
	if status >= 500 && status <= 599 {
		return Failure
	}
	return Success
}

// member is a Member of one pool. Its state may be shared with the pool before it.
type member struct {
	url     *url.URL
	name    string // its URL as text
	weight  int
	hash    uint64 // of its name
	breaker Breaker
	state   *state
}

const maxWeight = 1 << 20 // so that sums do not overflow

func newMember(m Member, b Breaker) *member {
	name := m.URL.String()
	return &member{url: m.URL, name: name, weight: min(max(m.Weight, 0), maxWeight), hash: hashOf(name), breaker: b, state: &state{}}
}

// state is what is known about an upstream.
type state struct {
	inFlight, requests, failures atomic.Int64

	// troubled: it is ill or its breaker is not closed. Written under mu.
	troubled atomic.Bool

	mu        sync.Mutex // protects the fields below
	circuit   circuit
	lastError string // why the last request failed
	ill       bool
	why       string    // it is ill
	streak    int       // checks in a row that contradict ill
	nextCheck time.Time // zero if none is due
	since     time.Time // of ill
}

func (s *state) begin() {
	s.requests.Add(1)
	s.inFlight.Add(1)
}

// updateLocked keeps troubled as the other fields say.
func (s *state) updateLocked() { s.troubled.Store(s.ill || s.circuit.state != Closed) }

// adapt forgets what new settings no longer ask for.
func (s *state) adapt(breaker, health bool, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !breaker {
		s.circuit.change(Closed, now)
	}
	if !health {
		s.ill, s.why, s.streak, s.nextCheck = false, "", 0, time.Time{}
	}
	s.updateLocked()
}

// ready reports whether a request may be sent to the member.
func (m *member) ready(now time.Time) bool {
	if m.weight == 0 {
		return false
	}
	s := m.state
	if !s.troubled.Load() {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.ill && s.circuit.ready(now)
}

// acquire lets one request pass to the member, if it is still ready. Its outcome is to be reported.
func (m *member) acquire(now time.Time) (pass, bool) {
	s := m.state
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ill {
		return pass{}, false
	}
	p, ok := s.circuit.acquire(now)
	s.updateLocked()
	return p, ok
}

// report says how a request ended that acquire had let pass; why is the reason of a failure, in
// words.
func (m *member) report(p pass, o Outcome, why string, now time.Time) {
	s := m.state
	if o == Failure {
		s.failures.Add(1)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o == Failure {
		s.lastError = why
	}
	s.circuit.report(&m.breaker, p, o, now)
	s.updateLocked()
}

// wait returns how long the member is not ready, and why in words. An ill one is not ready
// before its next check.
func (m *member) wait(now time.Time) (time.Duration, string) {
	s := m.state
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ill {
		return s.nextCheck.Sub(now), s.why
	}
	switch s.circuit.state {
	case Open:
		return s.circuit.until.Sub(now), s.lastError
	case HalfOpen:
		return 0, s.lastError
	}
	return 0, ""
}

func (m *member) snapshot(now time.Time) MemberState {
	s := m.state
	s.mu.Lock()
	defer s.mu.Unlock()
	out := MemberState{URL: m.name, Weight: m.weight, Healthy: !s.ill, Breaker: s.circuit.state, Since: s.since,
		InFlight: s.inFlight.Load(), Requests: s.requests.Load(), Failures: s.failures.Load()}
	if out.Breaker == Open && !now.Before(s.circuit.until) {
		out.Breaker = HalfOpen
	}
	switch {
	case s.ill:
		out.Why = s.why
	case s.circuit.state != Closed:
		out.Why = s.lastError
	}
	if s.circuit.since.After(out.Since) {
		out.Since = s.circuit.since
	}
	return out
}
