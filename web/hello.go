package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"jobhub/jobs"
	"jobhub/web/auth"
)

// This file is about who is at the other end of a WebSocket, and for how long.

// Close codes of the live protocol: the range is the verdict (CONTRACT section 7).
const (
	statusStalled websocket.StatusCode = 4001 // took nothing for too long; may resume
	statusExpired websocket.StatusCode = 4100 // has to get a new token first
	statusUnknown websocket.StatusCode = 4401 // credentials that are no good
	statusRevoked websocket.StatusCode = 4403
	statusNoHello websocket.StatusCode = 4408

	warnBefore = time.Minute // or half of the time that is left, if that is less
)

// caller identifies who opens a WebSocket. A browser is not told why a handshake was
// refused: that its token has expired it hears by the close code, right after it.
func (s *Server) caller(r *http.Request) (who auth.Identity, expired bool, err error) {
	who, err = s.identify(r)
	if expired = err == errExpired && r.Header.Get("Authorization") == ""; expired {
		err = nil
	}
	return who, expired, err
}

// hello is the first message of a client that has shown no credentials yet. From others
// it is a refresh.
func (c *socket) hello(ctx context.Context, m message) error {
	if !c.waiting && m.Token != "" {
		return c.refresh(ctx, m)
	}
	if c.waiting {
		if m.Token == "" {
			c.closeLocked(statusUnknown, "hello needs a token")
			return errGone
		}
		who, err := c.authenticate(c.address, m.Token, time.Now())
		if err != nil {
			c.refuse(m, refused(err))
			if err := c.replies.flush(); err != nil {
				return err
			}
			c.closeLocked(verdict(err))
			return errGone
		}
		head := c.Store.Head().Seq // see follow
		if err := c.Hub.Reach(ctx, head); err != nil {
			return err
		}
		c.waiting = false
		c.identified(who)
		c.cursor.Skip(head)
		if err := c.welcome(); err != nil {
			return err
		}
		c.timer.Reset(c.nextBeat(time.Now()))
	}
	c.acknowledge(m)
	return nil
}

// refresh replaces the credentials of a connection. Those that do not cover its
// subscriptions are refused, and nothing changes.
func (c *socket) refresh(ctx context.Context, m message) error {
	if !c.keyed(time.Now()) {
		c.acknowledge(m)
		return nil
	}
	who, err := c.authenticate(c.address, m.Token, time.Now())
	if err != nil {
		return refused(err)
	}
	if who.Tenant != c.who.Tenant {
		return jobs.NewProblem(forbidden, "Another tenant", "These credentials belong to another tenant; open another connection with them.")
	}
	for id, sub := range c.cursor.All() {
		on := filterTarget(sub.Filter)
		if sub.Job != (jobs.ID{}) {
			if job, _, _, err := jobs.Brief(ctx, c.Store, who.Tenant, sub.Job); err == nil { // else it is past its retention
				on = jobTarget(&job)
			}
		}
		if !who.May(auth.Watch, on) {
			return jobs.NewProblem(forbidden, "Not allowed", "These credentials are not good for the subscription %s. Unsubscribe first, or get others.", id)
		}
	}
	if c.viewer != nil && !who.May(auth.Watch, auth.Target{}) {
		return notAllowed(who, auth.Watch)
	}
	c.identified(who)
	c.timer.Reset(c.nextBeat(time.Now()))
	c.acknowledge(m)
	return nil
}

// verdict is the close code for credentials that are no good (any more).
func verdict(err error) (websocket.StatusCode, string) {
	switch {
	case errors.Is(err, auth.ErrExpired):
		return statusExpired, "get a new token"
	case errors.Is(err, auth.ErrRevoked):
		return statusRevoked, "the key was revoked"
	case errors.Is(err, auth.ErrUnknown), err == errManyWrong:
		return statusUnknown, "this hub knows no such key or token"
	}
	return websocket.StatusInternalError, "internal error"
}

// beat does what is due at certain times: a ping when the connection was quiet, which
// also moves its position forward, and what the credentials call for.
func (c *socket) beat() {
	if !c.mu.TryLock() { // then it is not quiet
		c.timer.Reset(time.Second)
		return
	}
	defer c.unlock()
	now := time.Now()
	if c.closing {
		return
	}
	if code, reason := c.lapsed(now); code != 0 {
		c.closeLocked(code, reason)
		return
	}
	switch {
	case c.waiting:
		if now.Sub(c.since) >= helloWithin {
			c.closeLocked(statusNoHello, "no hello within 10 s")
			return
		}
	case !c.who.Expires.IsZero() && !c.warned && !now.Before(c.warnAt):
		c.warned = true
		c.send(appendNumber(nil, "expiring", "in_ms", c.who.Expires.Sub(now).Milliseconds()))
	case now.Sub(c.quietSince()) >= pingEvery:
		c.send(appendNumber(nil, "ping", "seq", int64(c.cursor.Settle())))
	}
	if !c.closing {
		c.timer.Reset(c.nextBeat(now))
	}
}

// lapsed returns the close code for credentials that are no good any more, or 0. Keys are
// looked at now and then.
func (c *socket) lapsed(now time.Time) (websocket.StatusCode, string) {
	if c.waiting || c.Auth == nil {
		return 0, ""
	}
	if expired := !c.who.Expires.IsZero() && !now.Before(c.who.Expires); !expired && now.Sub(c.checked) < pingEvery {
		return 0, ""
	}
	c.checked = now
	if err := c.Auth.Check(c.who, now); err != nil {
		return verdict(err)
	}
	return 0, ""
}

// nextBeat is how long nothing will be due.
func (c *socket) nextBeat(now time.Time) time.Duration {
	if c.waiting {
		return max(0, c.since.Add(helloWithin).Sub(now))
	}
	next := c.quietSince().Add(pingEvery)
	if check := c.checked.Add(pingEvery); c.Auth != nil && check.Before(next) {
		next = check
	}
	if !c.who.Expires.IsZero() {
		at := c.who.Expires
		if !c.warned {
			at = c.warnAt
		}
		if at.Before(next) {
			next = at
		}
	}
	return max(0, next.Sub(now))
}

func (c *socket) quietSince() time.Time { return time.Unix(0, c.sent.Load()) }

// identified takes over credentials that are good, from now on.
func (c *socket) identified(who auth.Identity) {
	c.who, c.warned, c.checked = who, false, time.Now()
	c.warnAt = who.Expires.Add(-min(warnBefore, time.Until(who.Expires)/2))
}
