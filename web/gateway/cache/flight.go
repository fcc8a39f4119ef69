package cache

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// flightKey is what requests must have in common to be collapsed into one.
type flightKey struct{ slot, variant hash }

// flight is a request to the upstream for one or several requests to the cache. The first one
// leads: its goroutine asks the upstream. The others wait until the answer begins.
type flight struct {
	t          *Transport
	keys       keys
	req        *http.Request // as it is sent, with its context
	cancel     context.CancelFunc
	stale      *entry // what is validated; nil for none
	fwd        string
	at         flightKey // zero if it is not in Cache.flights
	resource   *resource
	generation int

	head chan struct{} // closed when the answer began, or there is none
	body chan struct{} // closed when the answer is stored, or will not be
	// set before head is closed:
	status int    // of the upstream's answer; 0 for none
	whole  *entry // the answer from memory, for all members that may have it
	begun  *entry // an answer whose body is arriving
	length int64  // of that body; below zero if unknown
	arrive *arrival
	left   bool // the leader has left before

	mu      sync.Mutex // protects the fields below
	members int
}

// join returns a flight for a request: one that is on its way already, or a new one that the
// request leads. again says that an answer was stored in the meantime.
func (c *Cache) join(r *trip, fwd string) (f *flight, leads, again bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := c.findLocked(r.keys, r.req.Header)
	if use, _, _ := found.check(r.d, time.Now()); use {
		return nil, false, true
	}
	validates := found.entry != nil && found.entry.hasValidator()
	// Who wants an answer newer than a stored one must not get that to an earlier request.
	solo := r.solo || found.pass || fwd == "request" || r.d.noCache || conditional(r.req.Header) && !validates
	at := flightKey{found.key, variantKey(found.vary, r.req.Header)}
	if f := c.flights[at]; f != nil && !solo && f.enter() {
		return f, false, false
	}
	f = c.flightLocked(r.t, r.keys, r.req.Clone(context.WithoutCancel(r.req.Context())), found.entry, fwd)
	f.members = 1
	if _, taken := c.flights[at]; !solo && !taken {
		f.at = at
		c.flights[at] = f
	}
	return f, true, false
}

func (c *Cache) flightLocked(t *Transport, k keys, req *http.Request, stale *entry, fwd string) *flight {
	f := &flight{t: t, keys: k, stale: stale, fwd: fwd, head: make(chan struct{}), body: make(chan struct{})}
	ctx, cancel := context.WithCancel(req.Context())
	f.req, f.cancel = req.WithContext(ctx), cancel
	f.resource = c.fetchLocked(k.uri)
	f.generation = f.resource.generation
	return f
}

// enter adds a member; false if all have left.
func (f *flight) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.members == 0 {
		return false
	}
	f.members++
	return true
}

// leave removes a member. When the last one leaves, what is still on its way ends.
func (f *flight) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.members--; f.members == 0 {
		f.cancel()
	}
}

// unlist lets no more requests join.
func (f *flight) unlist() {
	c := f.t.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flights[f.at] == f {
		delete(c.flights, f.at)
	}
}

// land ends a flight whose body does not arrive here: it is whole, or not for the store.
func (f *flight) land() {
	f.unlist()
	close(f.head)
	close(f.body)
	f.t.cache.fetched(f.resource)
}

// fetch asks the upstream for the leader r, which is nil in the background. It returns r's answer.
func (f *flight) fetch(r *trip) (*http.Response, error) {
	c := f.t.cache
	c.counters.misses.Add(1)
	stop := func() bool { return true }
	if r != nil {
		stop = context.AfterFunc(r.req.Context(), f.cancel) // until the answer begins
	}
	landed := false
	defer func() {
		if !landed { // next has panicked
			f.land()
		}
	}()
	validates := f.stale != nil && f.stale.hasValidator()
	if validates {
		f.stale.setConditions(f.req.Header)
	}
	sent := time.Now()
	res, err := f.t.next.RoundTrip(f.req)
	if err == nil && validates && res.StatusCode == http.StatusNotModified && !f.confirms(res) {
		drain(res)
		f.req = f.req.Clone(f.req.Context())
		f.req.Header.Del("If-None-Match")
		f.req.Header.Del("If-Modified-Since")
		f.fwd, validates, sent = "miss", false, time.Now()
		res, err = f.t.next.RoundTrip(f.req)
	}
	if !stop() { // the others ask on their own context
		f.left = true
		if err == nil {
			res.Body.Close()
		}
		err = r.req.Context().Err()
	}
	now := time.Now()
	if err == nil {
		f.status = res.StatusCode
	}
	landed = true
	switch {
	case f.stale != nil && !f.left && (err != nil || res.StatusCode >= 500 && res.StatusCode <= 504 && res.StatusCode != 501) && r != nil && f.stale.onError(r.d, now):
		if err == nil {
			drain(res)
		}
		f.cancel()
		f.whole = f.stale
		f.land()
		return f.given(r, now, fwdText(f.fwd, f.status, false, false)+f.stale.ttlText(now)+"; detail=stale-if-error"), nil
	case err != nil:
		f.land()
		f.cancel()
		return nil, err
	case validates && res.StatusCode == http.StatusNotModified:
		drain(res)
		f.cancel()
		return f.validated(r, res, sent, now), nil
	case f.t.storable(f.req, res):
		e := newEntry(f.req, res.StatusCode, res.Header, f.t.policy.TTL, sent, now)
		if f.arrives(e, res, r != nil) {
			return f.streamed(r, res), nil
		}
	}
	return f.passed(r, res), nil
}

// confirms reports whether a 304 is about the stored answer (RFC 9111, 4.3.4).
func (f *flight) confirms(res *http.Response) bool {
	etag := res.Header.Get("Etag")
	return etag == "" || f.stale.header.Get("Etag") == "" || sameETag(etag, f.stale.header.Get("Etag"))
}

// given is an answer from memory for the leader.
func (f *flight) given(r *trip, now time.Time, status string) *http.Response {
	if r == nil {
		return nil
	}
	return r.give(f.whole, now, status)
}

// validated gives the stored answer after a 304.
func (f *flight) validated(r *trip, res *http.Response, sent, now time.Time) *http.Response {
	c := f.t.cache
	next := f.stale.validated(f.req, res.Header, f.t.policy.TTL, sent, now)
	c.counters.validated.Add(1)
	c.mu.Lock()
	if next.mayStay() {
		f.whole = next
		if slotOf(c, f.stale) {
			if next.public == f.stale.public && next.variant == f.stale.variant {
				c.replaceLocked(f.stale, next)
			} else {
				c.removeLocked(f.stale)
			}
		}
	} else if slotOf(c, f.stale) {
		c.removeLocked(f.stale)
	}
	c.mu.Unlock()
	f.land()
	if r == nil {
		return nil
	}
	answer := r.give(next, now, fwdText(f.fwd, f.status, false, false)+next.ttlText(now))
	for _, name := range []string{"Set-Cookie", "Set-Cookie2"} { // for the leader alone
		if values := res.Header[name]; len(values) > 0 {
			answer.Header[name] = values
		}
	}
	return answer
}

// passed gives the leader an answer that is not stored.
func (f *flight) passed(r *trip, res *http.Response) *http.Response {
	c := f.t.cache
	if status := res.StatusCode; status < 400 && status != http.StatusNotModified || status == http.StatusNotFound || status == http.StatusGone {
		c.drop(f)
		c.pass(f)
	}
	f.land()
	if r == nil {
		f.cancel()
		res.Body.Close()
		return nil
	}
	res.Request = r.req
	res.Body = f.direct(r.req.Context(), res.Body)
	r.x.done(res, fwdText(f.fwd, 0, false, false))
	return res
}

// wait waits until the answer to the leader begins. It returns nil if that is not for r.
func (f *flight) wait(r *trip) (*http.Response, error) {
	c := f.t.cache
	select {
	case <-f.head:
	case <-r.req.Context().Done():
		f.leave()
		return nil, r.req.Context().Err()
	}
	now := time.Now()
	collapsed := func() string { return fwdText(f.fwd, f.status, false, true) }
	if e := f.whole; e != nil && f.mine(e, r) {
		use, _, _ := e.check(r.d, now)
		if use || e == f.stale && e.onError(r.d, now) {
			f.leave()
			c.counters.collapsed.Add(1)
			return r.give(e, now, collapsed()+e.ttlText(now)), nil
		}
	}
	begun := f.begun != nil && f.mine(f.begun, r)
	if begun { // what is stored only to be validated is not for others
		begun, _, _ = f.begun.check(r.d, now)
	}
	if begun && f.length >= 0 {
		c.counters.collapsed.Add(1)
		return f.part(r, collapsed()), nil
	}
	defer f.leave()
	if begun { // it may turn out to be too large
		timer := time.NewTimer(c.options.WaitBody)
		defer timer.Stop()
		select {
		case <-f.body:
		case <-timer.C:
		case <-r.req.Context().Done():
			return nil, r.req.Context().Err()
		}
	}
	r.solo = !f.left // else another one leads
	return nil, nil
}

// mine reports whether an answer to the leader may be given to r.
func (f *flight) mine(e *entry, r *trip) bool {
	return (e.public || f.keys.own == r.keys.own) && e.matches(r.req.Header)
}

// revalidate asks the upstream in the background whether an entry is still good, unless somebody
// does already or too many are at it.
func (t *Transport) revalidate(req *http.Request, k keys, found found) {
	c := t.cache
	select {
	case c.slots <- struct{}{}:
	default:
		return
	}
	c.mu.Lock()
	at := flightKey{found.key, variantKey(found.vary, req.Header)}
	if _, taken := c.flights[at]; taken || c.closed {
		c.mu.Unlock()
		<-c.slots
		return
	}
	ctx, cancel := context.WithTimeout(c.background, c.options.Revalidate)
	clone := req.Clone(ctx)
	clone.Header.Del("If-None-Match")
	clone.Header.Del("If-Modified-Since")
	clone.Body = nil
	f := c.flightLocked(t, k, clone, found.entry, "stale")
	f.members, f.at = 1, at // the goroutine
	c.flights[at] = f
	c.work.Go(func() {
		defer func() { <-c.slots }()
		defer cancel()
		f.fetch(nil)
		select { // the context is that of the body, too
		case <-f.body:
		case <-ctx.Done():
		}
		f.leave()
	})
	c.mu.Unlock()
}
