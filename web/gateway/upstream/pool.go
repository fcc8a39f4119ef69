package upstream

import (
	"context"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Member is an upstream.
type Member struct {
	URL    *url.URL // scheme and host; its path goes before those of requests
	Weight int      // its share of the requests; with 0 or less it gets no new ones
}

// Options are the settings of a Pool.
type Options struct {
	Members   []Member          // their URLs differ
	Transport http.RoundTripper // reaches all members; its DialContext comes from Track
	Health    Health            // the zero value checks nothing
	Breaker   Breaker           // the zero value never opens
	Tries     int               // at most so many for a request, 1 if less
	Timeout   time.Duration     // until the answer of a request begins, over all tries; none if 0
}

// Pool is the upstreams of a route. Its methods may be used by several goroutines.
type Pool struct {
	members   []*member
	transport http.RoundTripper
	health    Health
	tries     int
	timeout   time.Duration
	budget    *budget

	stop    context.CancelFunc // ends the checks; nil before Start
	checks  sync.WaitGroup
	checked context.Context
}

// NewPool returns a pool. Nothing runs before Start.
func NewPool(o Options) *Pool {
	p := &Pool{transport: o.Transport, health: o.Health.withDefaults(), tries: max(o.Tries, 1), timeout: o.Timeout, budget: new(budget)}
	for _, m := range o.Members {
		p.members = append(p.members, newMember(m, o.Breaker))
	}
	return p
}

// Keep takes over the state of an older pool for the members that stay. Call it before the pool
// is used. Both pools may be in use at once; requests of the older one count for both.
func (p *Pool) Keep(old *Pool) {
	if old == nil {
		return
	}
	p.budget = old.budget
	states := make(map[string]*state, len(old.members))
	for _, m := range old.members {
		states[m.name] = m.state
	}
	for _, m := range p.members {
		if s := states[m.name]; s != nil {
			m.state = s
			s.adapt(m.breaker.enabled(), p.health.enabled(), time.Now())
		}
	}
}

// Start begins to check the health of the members, if the options say so. Call it once.
func (p *Pool) Start() {
	if !p.health.enabled() {
		return
	}
	p.checked, p.stop = context.WithCancel(context.Background())
	for _, m := range p.members {
		p.checks.Go(func() { p.check(p.checked, m) })
	}
}

// Close ends the checks and waits for them. Requests go on.
func (p *Pool) Close() {
	if p.stop != nil {
		p.stop()
		p.checks.Wait()
	}
}

// Pick chooses a member for one attempt of a job. key is as in Call. The caller calls done once
// when the outcome of the attempt is known. The error is *Unavailable.
func (p *Pool) Pick(key string) (member *url.URL, done func(Outcome), err error) {
	m, pass, err := p.choose(key, time.Now(), nil)
	if err != nil {
		return nil, nil, err
	}
	m.state.begin()
	var once sync.Once
	return m.url, func(o Outcome) {
		once.Do(func() {
			m.report(pass, o, "An attempt of a job failed at "+m.url.Host+".", time.Now())
			m.state.inFlight.Add(-1)
		})
	}, nil
}

// MemberState is a snapshot of a member.
type MemberState struct {
	URL      string
	Weight   int
	Healthy  bool
	Breaker  BreakerState
	Why      string    // why it is ill or its breaker is not closed, in words; else empty
	Since    time.Time // of the present state; zero if it never changed
	InFlight int64     // requests whose answer has not ended
	Requests int64     // sent to it, tries and attempts of jobs included
	Failures int64     // of these; a cut answer counts here, too
}

// Usable reports whether the member may get new requests.
func (s MemberState) Usable() bool { return s.Healthy && s.Breaker != Open && s.Weight > 0 }

// Members returns the state of all members, in the order of the options.
func (p *Pool) Members() []MemberState {
	now := time.Now()
	all := make([]MemberState, len(p.members))
	for i, m := range p.members {
		all[i] = m.snapshot(now)
	}
	return all
}
