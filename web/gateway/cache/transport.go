package cache

import (
	"context"
	"net/http"
	"time"

	"jobhub/jobs"
)

// Policy is how the answers to a route's requests are stored.
type Policy struct {
	// Scope separates the answers of a route from those of others. Answers stay when a
	// configuration is loaded anew, if the Scope stays the same; so it should change with all
	// that makes other answers of the same request to the upstream.
	Scope string
	// TTL is how long an answer is fresh that says nothing about it. If it is zero, such answers
	// are stored only to be validated.
	TTL time.Duration
	// ForwardAuth says that an Authorization which the upstream gets is the caller's. Then
	// answers are stored only if they allow it (RFC 9111, 3.5).
	ForwardAuth bool
}

// Transport is an http.RoundTripper with a cache. Its requests are as the upstream gets them.
type Transport struct {
	cache  *Cache
	next   http.RoundTripper
	policy Policy
}

// Transport returns a transport that asks next for what is not stored. next must return soon after
// the context of its request ends. Requests that revalidate in the background have a context
// without values.
func (c *Cache) Transport(next http.RoundTripper, p Policy) *Transport { return &Transport{c, next, p} }

// Exchange is a request to a Transport and what the cache did with it.
type Exchange struct {
	// Caller tells who asks: tenant and consumer in one text. Callers with the same text
	// are given the same answers.
	Caller string

	// After RoundTrip, if it was a Transport that stores:
	Hit    bool   // the answer came from memory
	Status string // what Cache-Status says after "jobhub; "; empty if there was no answer
}

type exchangeKey struct{}

// With returns the context of a request that has an Exchange. One goroutine uses the Exchange.
// A Transport passes requests without one on.
func With(ctx context.Context, x *Exchange) context.Context {
	return context.WithValue(ctx, exchangeKey{}, x)
}

// ErrNotStored is the error, with status 504, of a request with only-if-cached for which nothing
// is stored that may be given.
var ErrNotStored = &jobs.Problem{Type: "urn:jobhub:problem:not_stored", Title: "Not stored", Status: http.StatusGatewayTimeout, Code: jobs.NotFound,
	Detail: "The request has Cache-Control: only-if-cached, and no stored answer may be given to it. Leave the directive out to ask the upstream."}

// RoundTrip implements http.RoundTripper. Its errors are those of the next transport, that of the
// request's context, or ErrNotStored.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	x, _ := req.Context().Value(exchangeKey{}).(*Exchange)
	if x == nil {
		res, err := t.next.RoundTrip(req)
		if err == nil {
			t.cache.Invalidate(res)
		}
		return res, err
	}
	d := requestDirectives(req.Header)
	if fwd := bypass(req, d); fwd != "" {
		t.cache.counters.passed.Add(1)
		res, err := t.next.RoundTrip(req)
		if err == nil {
			t.cache.Invalidate(res)
			x.done(res, fwdText(fwd, 0, false, false))
		}
		return res, err
	}
	closeBody(req)
	r := &trip{t: t, req: req, x: x, d: d, keys: t.keysOf(req, x.Caller)}
	return r.run()
}

// Explain returns what RoundTrip would do with a request now, as Cache-Status says it after
// "jobhub; ". It changes nothing.
func (t *Transport) Explain(req *http.Request, caller string) string {
	d := requestDirectives(req.Header)
	if fwd := bypass(req, d); fwd != "" {
		return "fwd=" + fwd
	}
	found, now := t.cache.find(t.keysOf(req, caller), req.Header), time.Now()
	use, _, fwd := found.check(d, now)
	switch {
	case use:
		return "hit" + found.entry.ttlText(now)
	case d.onlyIfCached:
		return "detail=only-if-cached"
	}
	return "fwd=" + fwd
}

// done adds Cache-Status to an answer that came from the upstream.
func (x *Exchange) done(res *http.Response, status string) {
	x.Status = status
	addStatus(res.Header, status)
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// check is entry.check of what was found.
func (f found) check(d directives, now time.Time) (use, background bool, fwd string) {
	switch {
	case f.entry != nil:
		return f.entry.check(d, now)
	case f.known:
		return false, false, "vary-miss"
	}
	return false, false, "uri-miss"
}

// trip is a request for the cache.
type trip struct {
	t    *Transport
	req  *http.Request
	x    *Exchange
	d    directives
	keys keys
	solo bool // it is not collapsed with others
}

// run answers from memory or asks the upstream, with others that ask the same.
func (r *trip) run() (*http.Response, error) {
	c := r.t.cache
	for {
		now := time.Now()
		found := c.find(r.keys, r.req.Header)
		use, background, fwd := found.check(r.d, now)
		if use {
			if background {
				r.t.revalidate(r.req, r.keys, found)
			}
			return r.hit(found.entry, now), nil
		}
		if r.d.onlyIfCached {
			r.x.Status = "detail=only-if-cached"
			return nil, ErrNotStored
		}
		if r.req.Method == http.MethodHead {
			return r.head(found, fwd)
		}
		f, leads, again := c.join(r, fwd)
		switch {
		case again: // it was stored just now
		case leads:
			return f.fetch(r)
		default:
			if res, err := f.wait(r); res != nil || err != nil {
				return res, err
			}
		}
	}
}

// hit answers from memory.
func (r *trip) hit(e *entry, now time.Time) *http.Response {
	n := &r.t.cache.counters
	n.hits.Add(1)
	if e.left(now) <= 0 {
		n.stale.Add(1)
	}
	e.used()
	return r.give(e, now, "hit"+e.ttlText(now))
}

func (r *trip) give(e *entry, now time.Time, status string) *http.Response {
	r.x.Hit, r.x.Status = true, status
	return e.answer(r.req, now, status)
}

// head passes a request with HEAD on. What its answer says about the stored answer to GET counts
// (RFC 9111, 4.3.5).
func (r *trip) head(found found, fwd string) (*http.Response, error) {
	c := r.t.cache
	c.counters.misses.Add(1)
	sent := time.Now()
	res, err := r.t.next.RoundTrip(r.req)
	if err != nil {
		return nil, err
	}
	if e := found.entry; e != nil && res.StatusCode == http.StatusOK {
		c.mu.Lock()
		if slotOf(c, e) {
			next := e.validated(r.req, res.Header, r.t.policy.TTL, sent, time.Now())
			same := sameField(e.header, res.Header, "Etag") && sameField(e.header, res.Header, "Last-Modified") &&
				(res.ContentLength < 0 || res.ContentLength == int64(len(e.body)))
			if same && next.mayStay() && next.public == e.public && next.variant == e.variant {
				c.replaceLocked(e, next)
			} else {
				c.removeLocked(e)
			}
		}
		c.mu.Unlock()
	}
	r.x.done(res, fwdText(fwd, 0, false, false))
	return res, nil
}

// sameField reports whether an answer has the stored value of a field, or none.
func sameField(stored, h http.Header, name string) bool {
	return h.Get(name) == "" || h.Get(name) == stored.Get(name)
}
