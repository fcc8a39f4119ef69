package upstream

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"jobhub/jobs/egress"
)

// Call goes with a request through a Pool (WithCall).
type Call struct {
	Key string // requests with the same key have the same member; empty for a random one

	// After RoundTrip:
	Member    *url.URL // the last one that was tried; nil if none was
	Connected bool     // there was a connection to it
	Tries     int
}

type callKey struct{}

// WithCall returns the context of a request that has a Call. One goroutine uses the Call.
func WithCall(ctx context.Context, c *Call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// maxPause is how long a second try at the same member waits at most.
const maxPause = 100 * time.Millisecond

// RoundTrip implements http.RoundTripper. The request's URL has the path and query for the
// upstream; scheme, host and the path before it are those of the member. A request with a body
// is tried once only, unless it has GetBody, which must return an error when the start of the
// body is gone. The errors are *Unavailable if no member could be used, else those of the
// transport; one for a timeout implements net.Error.
func (p *Pool) RoundTrip(req *http.Request) (*http.Response, error) {
	call, _ := req.Context().Value(callKey{}).(*Call)
	if call == nil {
		call = new(Call)
	}
	now := time.Now()
	p.budget.count(now)
	m, pass, err := p.choose(call.Key, now, nil)
	if err != nil {
		closeBody(req)
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(req.Context())
	t := &trip{pool: p, req: req, ctx: ctx, cancel: cancel, patience: newPatience(p.timeout, cancel)}
	body := req.Body
	for call.Tries = 1; ; call.Tries++ {
		call.Member = m.url
		got := t.attempt(m, pass, body)
		call.Connected = got.err == nil || got.connected
		if m, pass, body = t.next(call, got); m == nil {
			return t.end(got)
		}
		if got.res != nil {
			got.res.Body.Close()
		}
	}
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// trip is a request and its tries.
type trip struct {
	pool     *Pool
	req      *http.Request
	ctx      context.Context
	cancel   context.CancelCauseFunc
	patience *patience
	tried    []*member
}

// result is what a try gave.
type result struct {
	res    *http.Response
	answer *answer // the body of res
	err    error
	member *member
	body   *bodyOnce // nil if there was none

	// With an error:
	connected bool // there was a connection
	unsent    bool // nothing was sent, nor will be
	own       bool // the error is of the caller or of the request
}

// attempt makes one try with a member.
func (t *trip) attempt(m *member, pass pass, body io.ReadCloser) result {
	got := result{member: m}
	m.state.begin()
	t.patience.resume()
	var s sent
	out := t.req.WithContext(s.traced(t.ctx, t.patience))
	out.URL = join(m.url, t.req.URL)
	if body != nil && body != http.NoBody {
		got.body = &bodyOnce{from: body}
		out.Body, out.GetBody = got.body, nil
		if t.req.GetBody != nil { // the transport sends it again only where no server saw it
			out.GetBody = func() (io.ReadCloser, error) {
				if !got.body.end() {
					return nil, errEnded
				}
				next, err := t.req.GetBody()
				if err != nil {
					return nil, err
				}
				got.body = &bodyOnce{from: next}
				return got.body, nil
			}
		}
	}
	got.res, got.err = t.pool.transport.RoundTrip(out)
	now := time.Now()
	if got.err == nil {
		outcome, why := OutcomeOf(got.res.StatusCode), ""
		if outcome == Failure {
			why = m.url.Host + " answered " + strconv.Itoa(got.res.StatusCode) + "."
		}
		m.report(pass, outcome, why, now)
		got.answer = &answer{ReadCloser: got.res.Body, ctx: t.req.Context(), member: m, pass: pass}
		if w, ok := got.res.Body.(io.Writer); ok && got.res.StatusCode == http.StatusSwitchingProtocols {
			got.res.Body = &upgraded{got.answer, w}
		} else {
			got.res.Body = got.answer
		}
		return got
	}
	if context.Cause(t.ctx) == error(timeoutError{}) {
		got.err = timeoutError{}
	}
	var asked bool
	got.unsent, got.connected, asked = s.end()
	got.own = t.req.Context().Err() != nil || got.body.clientError() != nil || !asked
	outcome := Failure
	if got.own {
		outcome = Unknown
	}
	m.report(pass, outcome, m.reason(got.err), now)
	m.state.inFlight.Add(-1)
	return got
}

// next returns the member and body for one more try; nil if there is none.
func (t *trip) next(call *Call, got result) (*member, pass, io.ReadCloser) {
	p := t.pool
	if call.Tries >= p.tries || t.ctx.Err() != nil || !t.again(got) {
		return nil, pass{}, nil
	}
	body := t.req.Body
	if got.body != nil {
		if t.req.GetBody == nil || !got.body.end() {
			return nil, pass{}, nil
		}
		var err error
		if body, err = t.req.GetBody(); err != nil {
			return nil, pass{}, nil
		}
	}
	t.tried = append(t.tried, got.member)
	now := time.Now()
	m, next, err := p.choose(call.Key, now, t.tried)
	if err != nil {
		if got.res != nil && got.res.Header.Get("Retry-After") != "" || !t.pause() {
			return nil, pass{}, nil
		}
		now = time.Now()
		if m, next, err = p.choose(call.Key, now, nil); err != nil {
			return nil, pass{}, nil
		}
	}
	if nothing := got.err != nil && got.unsent; !nothing && !p.budget.take(now) { // what was not sent is no load
		m.report(next, Unknown, "", now)
		return nil, pass{}, nil
	}
	return m, next, body
}

// again reports whether a request may be sent once more.
func (t *trip) again(got result) bool {
	switch {
	case got.own:
		return false
	case got.err != nil:
		return got.unsent || isSafe(t.req.Method) || len(t.req.Header["Idempotency-Key"]) > 0
	}
	status := got.res.StatusCode
	return isSafe(t.req.Method) && (status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout)
}

// isSafe reports whether a method is safe (RFC 9110, 9.2.1).
func isSafe(method string) bool {
	switch method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// pause waits a moment before a second try at the same member. It returns false if the request
// has ended.
func (t *trip) pause() bool {
	timer := time.NewTimer(maxPause/2 + rand.N(maxPause/2))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-t.ctx.Done():
		return false
	}
}

// end returns the result of the last try.
func (t *trip) end(got result) (*http.Response, error) {
	inTime := t.patience.stop()
	if got.err == nil && inTime {
		got.answer.cancel = t.cancel
		got.res.Request = t.req
		return got.res, nil
	}
	if got.err == nil {
		got.res.Body.Close()
		got.err = timeoutError{}
	}
	t.cancel(nil)
	closeBody(t.req)
	return nil, got.err
}

// reason says in words why a member did not answer.
func (m *member) reason(err error) string {
	var timeout timeoutError
	if errors.As(err, &timeout) {
		return m.url.Host + " did not answer in time."
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() && strings.Contains(err.Error(), "awaiting response headers") {
		return m.url.Host + " did not answer in time."
	}
	return egress.Reason(m.url.Host, err)
}

// join returns the URL at a member for the path and query of u.
func join(member, u *url.URL) *url.URL {
	path := u.EscapedPath()
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	to := *u
	to.Scheme, to.Host, to.User, to.Opaque = member.Scheme, member.Host, nil, ""
	to.Path = strings.TrimSuffix(member.EscapedPath(), "/") + path
	to.RawPath = to.Path
	if decoded, err := url.PathUnescape(to.Path); err == nil {
		to.Path = decoded
	}
	return &to
}
