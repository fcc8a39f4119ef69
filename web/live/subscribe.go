package live

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"math"
	"slices"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/rest"
)

// subscriber is a client of the live protocol, over WebSocket or as a stream of
// server-sent events: its cursor, and how what it is told leaves.
type subscriber struct {
	*Server
	who    auth.Identity
	cursor *hub.Cursor
	out    outlet
}

// outlet sends what a subscriber is told, in order.
type outlet interface {
	// line gathers one object. at is the position from which a client that has it can
	// resume, or nowhere.
	line(object []byte, at uint64)
	// chunk sends what was gathered, and then events.
	chunk(*hub.Chunk) error
	// full reports that enough was gathered to be sent.
	full() bool
	// flush sends what was gathered.
	flush() error
}

// nowhere is no position: inside of a snapshot, a client has yet to hear the rest.
const nowhere = math.MaxUint64

// follow returns a cursor at the log's end. The hub reads that far first: whoever connects
// after a 202 is welcomed at a position that is not before the one in it.
func (s *Server) follow(ctx context.Context, wake func()) (*hub.Cursor, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.Stopped, cancel)()
	if err := s.Hub.WaitFor(ctx, s.Store.Head().Seq); err != nil {
		return nil, err
	}
	return s.Hub.Cursor(wake), nil
}

// subscribe opens a subscription. The block from subscribed to live is sent with
// nothing in between, and what is live begins right behind it: events of the other
// subscriptions up to that position go out before, all later ones after.
func (c *subscriber) subscribe(ctx context.Context, m message, query bool) error {
	sub, err := m.subscription(c.who.Tenant)
	if err == nil {
		err = c.mayWatch(ctx, c.who, sub.Filter)
	}
	if err != nil {
		return err
	}
	switch {
	case m.Since != nil:
		var reason string
		if reason, err = c.resumable(ctx, *m.Since); err != nil {
			return err
		}
		if c.counters.resumes.add(cmp.Or(reason, "recovered")); reason == "" {
			err = c.resume(ctx, m.ID, sub, m.Since.Seq)
		} else {
			err = c.snapshot(ctx, m.ID, sub, func(pos jobs.Position) []byte { return appendSubscribed(nil, m.ID, pos, true, false, reason) })
		}
	case m.Snapshot:
		err = c.snapshot(ctx, m.ID, sub, func(pos jobs.Position) []byte { return appendSubscribed(nil, m.ID, pos, false, false, "") })
	default:
		if !query { // of a query the connection itself is the beginning
			err = c.bringTo(ctx, c.Store.Head().Seq)
		}
		if at := c.cursor.Seq(); err == nil {
			c.out.line(appendSubscribed(nil, m.ID, jobs.Position{Epoch: c.Hub.Epoch(), Seq: at}, false, false, ""), at)
			c.out.line(appendLive(nil, m.ID, at, false), at)
		}
	}
	if err == nil {
		c.cursor.Subscribe(m.ID, sub)
	}
	return err
}

// mayWatch returns an error unless the caller may watch what a filter selects, or if it
// is a job that does not exist.
func (c *subscriber) mayWatch(ctx context.Context, who auth.Identity, f hub.Filter) error {
	if f.Job != (jobs.ID{}) {
		_, _, err := c.AuthorizedJob(ctx, who, auth.Watch, f.Job)
		return err
	}
	if !who.May(auth.Watch, rest.FilterTarget(f)) {
		return rest.NotAllowed(who, auth.Watch)
	}
	return nil
}

// resumable says why a position can't be resumed from, or nothing.
func (c *subscriber) resumable(ctx context.Context, from since) (reason string, err error) {
	if from.Epoch != c.Hub.Epoch() {
		return "epoch", nil
	}
	_, err = c.Store.Read(ctx, jobs.ReadQuery{After: from.Seq, MaxBytes: 1})
	switch {
	case errors.Is(err, jobs.ErrTrimmed):
		return "expired", nil
	case errors.Is(err, jobs.ErrAhead):
		return "future", nil
	}
	return "", err
}

// resume sends what a subscription selects behind after, and brings the cursor to where
// that ends.
func (c *subscriber) resume(ctx context.Context, id string, sub hub.Subscription, after uint64) error {
	at := max(after, c.Store.Head().Seq)
	if err := c.bringTo(ctx, at); err != nil {
		return err
	}
	at = c.cursor.Seq()
	c.out.line(appendSubscribed(nil, id, jobs.Position{Epoch: c.Hub.Epoch(), Seq: after}, true, true, ""), after)
	err := c.Hub.Replay(ctx, sub, after, at, c.out.chunk)
	if errors.Is(err, jobs.ErrTrimmed) { // while it was replayed
		return c.lost(ctx, id, sub, after)
	}
	if err != nil {
		return err
	}
	c.out.line(appendLive(nil, id, at, false), at)
	return nil
}

// snapshot sends head and the states that a subscription covers, and brings the cursor to
// the position at which they were read.
func (c *subscriber) snapshot(ctx context.Context, id string, sub hub.Subscription, head func(jobs.Position) []byte) error {
	page, release, err := c.covered(ctx, sub.Filter)
	defer func() { release() }() // what is large has been sent by then
	for err == nil {
		if err = c.bringTo(ctx, page.Pos.Seq); err != nil || c.cursor.Seq() == page.Pos.Seq {
			break
		}
		release()
		page, release, err = c.covered(ctx, sub.Filter)
	}
	if err != nil {
		return err
	}
	c.out.line(head(page.Pos), nowhere)
	for i := range page.Jobs {
		if c.out.line(appendState(nil, id, &page.Jobs[i], page.Pos), nowhere); c.out.full() {
			if err := c.out.flush(); err != nil {
				return err
			}
		}
	}
	c.out.line(appendLive(nil, id, page.Pos.Seq, page.Next > 0), page.Pos.Seq)
	return nil
}

// lost tells a subscription that it missed events behind from, and gives it the state anew.
func (c *subscriber) lost(ctx context.Context, id string, sub hub.Subscription, from uint64) error {
	err := c.snapshot(ctx, id, sub, func(pos jobs.Position) []byte { return appendGap(nil, id, from, pos.Seq, "expired") })
	if !errors.Is(err, jobs.ErrGone) && !errors.Is(err, jobs.ErrNotFound) {
		return err
	}
	if err := c.bringTo(ctx, c.Store.Head().Seq); err != nil { // a job past its retention has no state
		return err
	}
	at := c.cursor.Seq()
	c.out.line(appendGap(nil, id, from, at, "expired"), nowhere)
	c.out.line(appendLive(nil, id, at, false), at)
	return nil
}

// covered is the state that a filter shows: the one job, or the unfinished jobs.
func (c *subscriber) covered(ctx context.Context, f hub.Filter) (_ jobs.Page, release func(), err error) {
	if f.Job != (jobs.ID{}) {
		job, pos, release, err := c.ReadFullJob(ctx, c.who.Tenant, f.Job)
		return jobs.Page{Jobs: []jobs.Job{job}, Pos: pos}, release, err
	}
	unfinished := slices.DeleteFunc(slices.Clone(jobs.States), jobs.State.Final)
	page, err := c.Store.List(ctx, jobs.Filter{Tenant: c.who.Tenant, Queue: f.Queue, Kind: f.Kind, Tag: f.Tag, States: unfinished, Limit: rest.MaxSnapshot})
	return page, func() {}, err
}

// bringTo sends what the other subscriptions select up to seq, and moves the cursor
// there, or beyond if some of it is not to be had any more.
func (c *subscriber) bringTo(ctx context.Context, seq uint64) error {
	if err := c.Hub.WaitFor(ctx, seq); err != nil {
		return err
	}
	c.cursor.SkipUnmatched() // of a quiet subscription there is nothing to read
	err := c.cursor.ReadUntil(ctx, seq, c.out.chunk)
	if errors.Is(err, jobs.ErrTrimmed) {
		return c.gap(ctx)
	}
	return err
}

// socketKey is the idempotency key of a submit over WebSocket: the same as over HTTP.
func socketKey(who auth.Identity, m message) (*jobs.Key, error) {
	key, ok := rest.ParseKey([]string{m.Key})
	if !ok {
		return nil, jobs.NewProblem(jobs.BadMessage, "Malformed key", "key takes 1 to 255 printable ASCII characters.")
	}
	print := sha256.Sum256(m.Job)
	return &jobs.Key{Scope: rest.KeyScope(who, "POST", "/v1/jobs"), Key: key, Fingerprint: print[:], Until: time.Now().Add(24 * time.Hour)}, nil
}
