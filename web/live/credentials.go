package live

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/coder/websocket"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/rest"
)

// This file checks who the client of a WebSocket is, and for how long that is valid.

// Close codes of the live protocol. The range says what the client can do: 40xx resume,
// 41xx get a new token, 44xx give up.
const (
	statusStalled websocket.StatusCode = 4001 // the client read nothing for too long; it may resume
	statusChanged websocket.StatusCode = 4002 // the rights of the key were changed; the client may resume with those
	statusExpired websocket.StatusCode = 4100 // the client needs a new token
	statusUnknown websocket.StatusCode = 4401 // the credentials are unknown
	statusRevoked websocket.StatusCode = 4403
	statusNoHello websocket.StatusCode = 4408

	warnBefore = time.Minute // or half of the time that is left, if that is less
)

// caller identifies who opens a WebSocket. A browser can't see why a handshake was
// refused, so a connection with an expired token is accepted and closed with a code.
func (s *Server) caller(r *http.Request) (who auth.Identity, expired bool, err error) {
	who, err = s.Identify(r)
	if err == rest.ErrExpired {
		if shown, err := s.Credentials(r); err == nil && shown.Source != rest.FromHeader {
			return who, true, nil
		}
	}
	return who, false, err
}

// hello is the first message of a client that has sent no credentials yet. From any other
// client it is a refresh.
func (c *socket) hello(ctx context.Context, m message) error {
	if !c.waiting && m.Token != "" {
		return c.refresh(ctx, m)
	}
	if c.waiting {
		if m.Token == "" {
			c.closeLocked(statusUnknown, "hello needs a token")
			return errGone
		}
		who, err := c.Authenticate(c.address, m.Token, time.Now())
		if err != nil {
			c.refuse(m, rest.CredentialsProblem(err))
			if err := c.replies.flush(); err != nil {
				return err
			}
			c.closeLocked(verdict(who, err))
			return errGone
		}
		c.limits = c.Limit(ctx, http.Header{}, c.address, who)
		if err := c.limits.Err(); err != nil {
			c.refuse(m, err)
			if err := c.replies.flush(); err != nil {
				return err
			}
			c.closeLocked(websocket.StatusTryAgainLater, "over a limit")
			return errGone
		}
		head := c.Store.Head().Seq // see follow
		if err := c.Hub.WaitFor(ctx, head); err != nil {
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
	if !c.KeysRequired(time.Now()) {
		c.acknowledge(m)
		return nil
	}
	who, err := c.Authenticate(c.address, m.Token, time.Now())
	if err != nil {
		return rest.CredentialsProblem(err)
	}
	if who.Tenant != c.who.Tenant {
		return jobs.NewProblem(rest.Forbidden, "Another tenant", "These credentials belong to another tenant; open another connection with them.")
	}
	for id, sub := range c.cursor.All() {
		on := rest.FilterTarget(sub.Filter)
		if sub.Job != (jobs.ID{}) {
			if job, _, _, err := jobs.Brief(ctx, c.Store, who.Tenant, sub.Job); err == nil { // else it is past its retention
				on = rest.JobTarget(&job)
			}
		}
		if !who.May(auth.Watch, on) {
			return jobs.NewProblem(rest.Forbidden, "Not allowed", "These credentials are not good for the subscription %s. Unsubscribe first, or get others.", id)
		}
	}
	if c.viewer != nil && !who.May(auth.Watch, auth.Target{}) {
		return rest.NotAllowed(who, auth.Watch)
	}
	c.identified(who)
	c.timer.Reset(c.nextBeat(time.Now()))
	c.acknowledge(m)
	return nil
}

// verdict is the close code for credentials that are not valid (any more). The holder of a
// token may get another one, also if the token's key was replaced.
func verdict(who auth.Identity, err error) (websocket.StatusCode, string) {
	switch {
	case errors.Is(err, auth.ErrExpired), errors.Is(err, auth.ErrRevoked) && who.Grant != nil:
		return statusExpired, "get a new token"
	case errors.Is(err, auth.ErrChanged):
		return statusChanged, "the rights of the key were changed"
	case errors.Is(err, auth.ErrRevoked):
		return statusRevoked, "the key was revoked"
	case errors.Is(err, auth.ErrUnknown), err == rest.ErrTooManyFailures:
		return statusUnknown, "this hub knows no such key or token"
	}
	return websocket.StatusInternalError, "internal error"
}

// beat does what is due at certain times: a ping when the connection was quiet, which
// also moves its position forward, a warning before the credentials expire, and the close
// when they do.
func (c *socket) beat() {
	if !c.mu.TryLock() { // then it is not quiet
		if end := c.expires.Load(); end != 0 && time.Since(time.Unix(0, end)) > dismissPatience {
			c.wire.Close() // it takes too long
		}
		c.timer.Reset(dismissPatience / 2)
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
		if now.Sub(c.since) >= rest.HelloTimeout {
			c.closeLocked(statusNoHello, "no hello within 10 s")
			return
		}
	case !c.who.Expires.IsZero() && !c.warned && !now.Before(c.warnAt):
		c.warned = true
		c.send(appendNumber(nil, "expiring", "in_ms", c.who.Expires.Sub(now).Milliseconds()))
	case now.Sub(c.quietSince()) >= pingEvery:
		c.send(appendNumber(nil, "ping", "seq", int64(c.cursor.SkipUnmatched())))
	}
	if !c.closing {
		c.timer.Reset(c.nextBeat(now))
	}
}

// lapsed returns the close code if the credentials are no longer valid, or 0.
func (c *socket) lapsed(now time.Time) (websocket.StatusCode, string) {
	if c.waiting || c.Auth == nil {
		return 0, ""
	}
	if err := c.Auth.Check(c.who, now); err != nil {
		return verdict(c.who, err)
	}
	return 0, ""
}

// dismissPatience is how long a connection whose credentials have ended may still read
// what is being sent, before it is closed.
const dismissPatience = 500 * time.Millisecond

// dismiss closes a connection whose credentials are no longer valid.
func (c *socket) dismiss(who auth.Identity, err error) {
	for end := time.Now().Add(dismissPatience); !c.mu.TryLock(); time.Sleep(dismissPatience / 50) {
		if time.Now().After(end) {
			c.wire.Close()
			return
		}
	}
	defer c.unlock()
	cut := time.AfterFunc(dismissPatience/2, func() { c.wire.Close() })
	defer cut.Stop()
	c.closeLocked(verdict(who, err))
}

// nextBeat is the time until something is due.
func (c *socket) nextBeat(now time.Time) time.Duration {
	if c.waiting {
		return max(0, c.since.Add(rest.HelloTimeout).Sub(now))
	}
	next := c.quietSince().Add(pingEvery)
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

// identified uses these valid credentials from now on. The connection is locked.
func (c *socket) identified(who auth.Identity) {
	c.who, c.warned = who, false
	c.expires.Store(0)
	if !who.Expires.IsZero() {
		c.expires.Store(who.Expires.UnixNano())
	}
	c.warnAt = who.Expires.Add(-min(warnBefore, time.Until(who.Expires)/2))
	c.stopListening()
	if c.Auth != nil {
		c.unhear = c.Auth.Watch(who, func(err error) {
			c.sockets.Go(func() { c.dismiss(who, err) }) // counted, as the connection itself still is
		})
	}
}

// stopListening stops listening for the end of the credentials.
func (c *socket) stopListening() {
	if c.unhear != nil {
		c.unhear()
		c.unhear = nil
	}
}
