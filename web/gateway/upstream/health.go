package upstream

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Health says how members are checked: a GET of a path, which must be answered with a status
// from 200 to 399.
type Health struct {
	Path    string        // after that of the member; no checks if empty
	Every   time.Duration // DefaultEvery if 0; a tenth more or less, at random
	Timeout time.Duration // of one check; the smaller of Every and maxCheckTime if 0
}

// DefaultEvery is the default time between checks of a member.
const DefaultEvery = 5 * time.Second

const (
	maxCheckTime = 5 * time.Second
	maxCheckBody = 64 << 10
	illAfter     = 2 // failed checks in a row
	wellAfter    = 2 // good ones
)

func (h Health) enabled() bool { return h.Path != "" }

func (h Health) withDefaults() Health {
	if h.Every <= 0 {
		h.Every = DefaultEvery
	}
	if h.Timeout <= 0 {
		h.Timeout = min(h.Every, maxCheckTime)
	}
	return h
}

// check checks a member until ctx ends.
func (p *Pool) check(ctx context.Context, m *member) {
	wait := rand.N(min(p.health.Every, time.Second)) // not all members of all routes at once
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		m.state.checkAt(time.Now().Add(wait))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		why := p.ask(ctx, m)
		if ctx.Err() != nil {
			return
		}
		m.state.checked(why, time.Now())
		wait = p.health.Every*9/10 + rand.N(p.health.Every/5+1)
		timer.Reset(wait)
	}
}

// ask makes one check. It returns why the member is ill; empty if it is well.
func (p *Pool) ask(ctx context.Context, m *member) string {
	ctx, cancel := context.WithTimeoutCause(ctx, p.health.Timeout, timeoutError{})
	defer cancel()
	path, err := url.Parse(p.health.Path)
	if err != nil {
		return "The path of its health check is not valid."
	}
	req := (&http.Request{Method: http.MethodGet, URL: join(m.url, path), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"User-Agent": {"jobhub"}}}).WithContext(ctx)
	res, err := p.transport.RoundTrip(req)
	if err != nil {
		return m.reason(err)
	}
	defer res.Body.Close()
	if res.StatusCode < 200 || res.StatusCode > 399 {
		return m.url.Host + " answered its health check with " + strconv.Itoa(res.StatusCode) + "."
	}
	if _, err := io.CopyN(io.Discard, res.Body, maxCheckBody); err != nil && err != io.EOF {
		return m.reason(err)
	}
	return ""
}

func (s *state) checkAt(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextCheck = at
}

// checked counts the result of a check.
func (s *state) checked(why string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	bad := why != ""
	if bad == s.ill {
		s.streak = 0
		s.why = why
		return
	}
	s.streak++
	if bad && s.streak >= illAfter || !bad && s.streak >= wellAfter {
		s.ill, s.why, s.streak, s.since = bad, why, 0, now
		s.updateLocked()
	}
}
