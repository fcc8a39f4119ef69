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

// subscriber is a client of the live protocol, over WebSocket or server-sent events: its
// cursor, and the outlet for the messages to it.
type subscriber struct {
	*Server
	who    auth.Identity
	cursor *hub.Cursor
	out    outlet
}

// outlet sends the messages to a subscriber, in order.
type outlet interface {
	// line adds one object to the buffer. at is the position from which a client that has
	// received it can resume, or nowhere.
	line(object []byte, at uint64)
	// chunk sends the buffer, and then events.
	chunk(*hub.Chunk) error
	// full reports whether the buffer holds enough to be sent.
	full() bool
	// flush sends the buffer.
	flush() error
}

// nowhere is no position: in the middle of a snapshot a client can't resume.
const nowhere = math.MaxUint64

// follow returns a cursor at the log's end. The hub reads that far first, so that a client
// that connects after a 202 starts at the position in that 202 or later.
func (s *Server) follow(ctx context.Context, wake func()) (*hub.Cursor, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.Stopped, cancel)()
	if err := s.Hub.WaitFor(ctx, s.Store.Head().Seq); err != nil {
		return nil, err
	}
	return s.Hub.Cursor(wake), nil
}

// subscribe opens a subscription. The block from subscribed to live is sent without other
// messages in between, and live events begin right after it: events of the other
// subscriptions up to that position are sent before the block, all later ones after it.
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
		if !query { // a subscription of the query begins with the connection
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

// mayWatch returns an error if the caller may not watch what a filter selects, or if the
// filter names a job that does not exist.
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

// resumable returns why a client can't resume from a position, or an empty reason.
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

// resume sends the events after a position that a subscription selects, and moves the cursor
// behind them.
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

// snapshot sends head and the states of the jobs that a subscription selects, and moves the
// cursor to the position at which they were read.
func (c *subscriber) snapshot(ctx context.Context, id string, sub hub.Subscription, head func(jobs.Position) []byte) error {
	page, release, err := c.covered(ctx, sub.Filter)
	defer func() { release() }() // by then the large states have been sent
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

// lost sends a gap message for the events after from, and then the current state.
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

// covered reads the jobs of a snapshot: the one job, or the unfinished jobs.
func (c *subscriber) covered(ctx context.Context, f hub.Filter) (_ jobs.Page, release func(), err error) {
	if f.Job != (jobs.ID{}) {
		job, pos, release, err := c.ReadFullJob(ctx, c.who.Tenant, f.Job)
		return jobs.Page{Jobs: []jobs.Job{job}, Pos: pos}, release, err
	}
	unfinished := slices.DeleteFunc(slices.Clone(jobs.States), jobs.State.Final)
	page, err := c.Store.List(ctx, jobs.Filter{Tenant: c.who.Tenant, Queue: f.Queue, Kind: f.Kind, Tag: f.Tag, States: unfinished, Limit: rest.MaxSnapshot})
	return page, func() {}, err
}

// bringTo sends the events that the other subscriptions select up to seq, and moves the
// cursor there, or beyond if some of them are no longer kept.
func (c *subscriber) bringTo(ctx context.Context, seq uint64) error {
	if err := c.Hub.WaitFor(ctx, seq); err != nil {
		return err
	}
	c.cursor.SkipUnmatched() // a quiet subscription has nothing to read
	err := c.cursor.ReadUntil(ctx, seq, c.out.chunk)
	if errors.Is(err, jobs.ErrTrimmed) {
		return c.gap(ctx)
	}
	return err
}

// socketKey returns the idempotency key of a submit over WebSocket; HTTP uses the same keys.
func socketKey(who auth.Identity, m message) (*jobs.Key, error) {
	key, ok := rest.ParseKey([]string{m.Key})
	if !ok {
		return nil, jobs.NewProblem(jobs.BadMessage, "Malformed key", "key takes 1 to 255 printable ASCII characters.")
	}
	print := sha256.Sum256(m.Job)
	return &jobs.Key{Scope: rest.KeyScope(who, "POST", "/v1/jobs"), Key: key, Fingerprint: print[:], Until: time.Now().Add(24 * time.Hour)}, nil
}
