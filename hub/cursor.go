package hub

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"

	"jobhub/jobs"
)

// Filter selects events. Exactly one of Job, Queue, Kind, Tag and All is set.
type Filter struct {
	Tenant string
	Job    jobs.ID
	Queue  string
	Kind   string
	Tag    string
	All    bool
}

func (f Filter) topic() topic {
	switch {
	case f.Job != (jobs.ID{}):
		return topic{tenant: f.Tenant, kind: topicJob, job: f.Job}
	case f.Queue != "":
		return topic{tenant: f.Tenant, kind: topicQueue, name: f.Queue}
	case f.Kind != "":
		return topic{tenant: f.Tenant, kind: topicKindOfJob, name: f.Kind}
	case f.Tag != "":
		return topic{tenant: f.Tenant, kind: topicTag, name: f.Tag}
	}
	return topic{tenant: f.Tenant}
}

// Match reports whether the filter selects an event.
func (f Filter) Match(e *jobs.Event) bool {
	if e.Tenant != f.Tenant {
		return false
	}
	switch t := f.topic(); t.kind {
	case topicJob:
		return e.Job == t.job
	case topicQueue:
		return e.Queue == t.name
	case topicKindOfJob:
		return e.Kind == t.name
	case topicTag:
		return slices.Contains(e.Tags, t.name)
	}
	return true
}

// ProgressMode says which progress events a subscription wants.
type ProgressMode uint8

const (
	ProgressNone   ProgressMode = iota
	ProgressLatest              // newer ones may replace older ones
	ProgressAll
)

// Subscription is a filter, and how much of what it selects is wanted.
type Subscription struct {
	Filter
	Progress ProgressMode
}

// Cursor is one connection's place in the log, with all its subscriptions. An event
// that several of them select comes once. One goroutine owns it; only Wake's channel
// is written by others.
type Cursor struct {
	hub  *Hub
	wake chan struct{}
	seq  uint64 // all up to here was given or not selected
	subs map[string]Subscription

	mu    sync.Mutex // protects dirty
	dirty uint64     // the first event since seq that may be selected; 0 if none
}

// Cursor returns a cursor at the hub's position. Close it after use.
func (h *Hub) Cursor() *Cursor {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return &Cursor{hub: h, wake: make(chan struct{}, 1), seq: h.seq, subs: map[string]Subscription{}}
}

// Wake has an element when Next may have something.
func (c *Cursor) Wake() <-chan struct{} { return c.wake }

// Seq is the position up to which all that was selected has been given.
func (c *Cursor) Seq() uint64 { return c.seq }

func (c *Cursor) mark(seq uint64) {
	c.mu.Lock()
	if c.dirty == 0 || seq < c.dirty { // a new subscription may concern earlier events than the others
		c.dirty = seq
	}
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Subscribe adds a subscription, in force for events behind the cursor's position.
// Bring the cursor to where it should begin first, with Skip or Next.
func (c *Cursor) Subscribe(id string, s Subscription) {
	c.subs[id] = s
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	set := c.hub.topics[s.topic()]
	if set == nil {
		set = map[*Cursor]struct{}{}
		c.hub.topics[s.topic()] = set
	}
	set[c] = struct{}{}
	if c.hub.seq > c.seq { // it may have missed the mark of these
		c.mark(c.seq + 1)
	}
}

// Unsubscribe removes a subscription; false if there is none of that id.
func (c *Cursor) Unsubscribe(id string) bool {
	s, ok := c.subs[id]
	if !ok {
		return false
	}
	delete(c.subs, id)
	t := s.topic()
	for _, other := range c.subs {
		if other.topic() == t {
			return true
		}
	}
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	if delete(c.hub.topics[t], c); len(c.hub.topics[t]) == 0 {
		delete(c.hub.topics, t)
	}
	return true
}

// Subscribed reports whether there is a subscription of that id.
func (c *Cursor) Subscribed(id string) bool { _, ok := c.subs[id]; return ok }

// Len is the number of subscriptions.
func (c *Cursor) Len() int { return len(c.subs) }

// Close removes all subscriptions.
func (c *Cursor) Close() {
	for id := range c.subs {
		c.Unsubscribe(id)
	}
}

// Next returns selected events behind the cursor, looking at no more than most events
// and none behind limit, and moves the cursor. more says that there may be others at
// once. jobs.ErrTrimmed if the log no longer reaches back to the cursor: then Skip.
func (c *Cursor) Next(ctx context.Context, limit uint64, most int) (events []*Event, more bool, err error) {
	c.mu.Lock()
	dirty := c.dirty
	c.mu.Unlock()
	if dirty == 0 || dirty > limit {
		if at := min(limit, c.hub.Position().Seq); dirty == 0 && at > c.seq {
			c.settle(at)
		}
		return nil, false, nil
	}
	from := max(c.seq, dirty-1)
	seen, err := c.hub.after(ctx, from, most)
	if err != nil {
		return nil, false, err
	}
	for _, e := range seen {
		if e.Seq > limit {
			break
		}
		from = e.Seq
		if c.wants(e) {
			events = append(events, e)
		}
	}
	return c.latest(events), c.advance(from), nil
}

// settle moves the cursor over events that were seen not to concern it, unless it
// was marked meanwhile.
func (c *Cursor) settle(at uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dirty == 0 {
		c.seq = at
	} else {
		c.seq = max(c.seq, min(at, c.dirty-1))
	}
}

// advance moves the cursor and reports whether there is more behind it.
func (c *Cursor) advance(to uint64) (more bool) {
	c.hub.mu.RLock() // the hub marks under its lock: no mark gets lost between the look and the change
	defer c.hub.mu.RUnlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq = to
	if to >= c.hub.seq { // a mark behind it can only be what Skip left
		c.dirty = 0
		return false
	}
	c.dirty = max(c.dirty, to+1)
	return true
}

// Skip moves the cursor to seq without giving what lies before.
func (c *Cursor) Skip(seq uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq = max(c.seq, seq)
	if c.dirty != 0 {
		c.dirty = max(c.dirty, seq+1)
	}
}

// wants reports whether any subscription selects the event.
func (c *Cursor) wants(e *Event) bool {
	for _, s := range c.subs {
		if s.Match(e.Event) && (e.Type != jobs.JobProgress || s.Progress != ProgressNone) {
			return true
		}
	}
	return false
}

// latest drops progress that newer progress in the same lot replaces.
func (c *Cursor) latest(events []*Event) []*Event {
	seen := map[jobs.ID]bool{}
	out := events[:0]
	for i := len(events) - 1; i >= 0; i-- {
		e := events[i]
		if e.Type == jobs.JobProgress {
			if seen[e.Job] && !c.wantsAll(e) {
				events[i] = nil
				continue
			}
			seen[e.Job] = true
		}
	}
	for _, e := range events {
		if e != nil {
			out = append(out, e)
		}
	}
	return out
}

func (c *Cursor) wantsAll(e *Event) bool {
	for _, s := range c.subs {
		if s.Progress == ProgressAll && s.Match(e.Event) {
			return true
		}
	}
	return false
}

// Replay gives each selected event in (after, upTo] to yield, in order. The hub must
// have reached upTo. jobs.ErrTrimmed or jobs.ErrAhead where the log does not hold after;
// then nothing was yielded, unless the log was trimmed meanwhile.
func (h *Hub) Replay(ctx context.Context, s Subscription, after, upTo uint64, yield func([]*Event) error) error {
	only := Cursor{hub: h, subs: map[string]Subscription{"": s}}
	if s.Job != (jobs.ID{}) {
		if _, err := h.source.Read(ctx, jobs.ReadQuery{After: after, MaxBytes: 1}); err != nil {
			return err
		}
		events, err := h.source.Read(ctx, jobs.ReadQuery{After: after, Job: s.Job})
		if errors.Is(err, jobs.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return yield(only.latest(slices.DeleteFunc(h.wrap(events, upTo), func(e *Event) bool { return !only.wants(e) })))
	}
	after = min(after+resumeLate, max(after, upTo))
	for after < upTo {
		events, err := h.after(ctx, after, 1000)
		if err != nil {
			return err
		}
		var wanted []*Event
		for _, e := range events {
			if e.Seq <= upTo && only.wants(e) {
				wanted = append(wanted, e)
			}
			after = e.Seq
		}
		if len(wanted) > 0 {
			if err := yield(only.latest(wanted)); err != nil {
				return err
			}
		}
	}
	if _, err := h.source.Read(ctx, jobs.ReadQuery{After: after, MaxBytes: 1}); errors.Is(err, jobs.ErrAhead) {
		return err
	}
	return nil
}

// All iterates over the subscriptions by id.
func (c *Cursor) All() iter.Seq2[string, Subscription] { return maps.All(maps.Clone(c.subs)) }
