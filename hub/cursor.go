package hub

import (
	"context"
	"iter"
	"maps"
	"sync/atomic"
	"time"

	"jobhub/jobs"
)

// Cursor is the position of one connection in the log, with all its subscriptions. An event
// that several of them select is given once. All methods but Seq and Lag are for one
// goroutine at a time. wake is called from other goroutines and must not block.
type Cursor struct {
	hub  *Hub
	wake func()
	subs map[string]Subscription
	seq  atomic.Uint64 // all events up to here were given or not selected

	// Changed under Hub.mu.
	stream    *stream // nil without subscriptions, and while suspended
	suspended bool
	shard     *shard // guarded by the stream's mutex

	// Guarded by the stream's mutex.
	behind bool   // it has no place among the stream's chunks; seq is its position
	at     uint64 // otherwise the number of its next chunk
}

// Cursor returns a cursor at the hub's position. wake is called when Step or Next may
// have something. Close it after use.
func (h *Hub) Cursor(wake func()) *Cursor {
	c := &Cursor{hub: h, wake: wake, subs: map[string]Subscription{}}
	c.seq.Store(h.Position().Seq)
	return c
}

// Seq is the position up to which all that was selected has been given.
func (c *Cursor) Seq() uint64 { return c.seq.Load() }

// Subscribe adds a subscription for the events after the cursor's position. Move the cursor
// to where it should begin first, with Skip or ReadUntil.
func (c *Cursor) Subscribe(id string, s Subscription) {
	c.subs[id] = s
	c.resubscribe(s.topic())
}

// Unsubscribe removes a subscription; false if there is none of that id.
func (c *Cursor) Unsubscribe(id string) bool {
	s, ok := c.subs[id]
	if ok {
		delete(c.subs, id)
		c.resubscribe(s.topic())
	}
	return ok
}

// resubscribe moves the cursor to the stream of its subscriptions, after one with that topic
// was added or removed. A stream of its own is changed in place, so that the cost does not
// grow with the number of subscriptions.
func (c *Cursor) resubscribe(t topic) {
	f := c.stream
	if f == nil || f.shared || len(c.subs) < 2 {
		c.detach()
		c.attach()
		return
	}
	mode, wanted := ProgressNone, false
	for _, s := range c.subs {
		if s.topic() == t {
			mode, wanted = max(mode, s.Progress), true
		}
	}
	h := c.hub
	defer h.Notify(jobs.Notice{Subject: jobs.WatchersChanged})
	h.mu.Lock()
	f.mu.Lock()
	if wanted {
		f.selection.modes[t] = mode
		h.listenLocked(t, f)
	} else {
		delete(f.selection.modes, t)
		h.unlistenLocked(t, f)
	}
	if !c.behind {
		f.unjoinLocked(c)
	}
	f.resetLocked(h.seq)
	f.joinLocked(c)
	late := h.seq > c.Seq()
	f.mu.Unlock()
	h.mu.Unlock()
	if late {
		c.wake()
	}
}

// Subscribed reports whether there is a subscription of that id.
func (c *Cursor) Subscribed(id string) bool { _, ok := c.subs[id]; return ok }

// Len is the number of subscriptions.
func (c *Cursor) Len() int { return len(c.subs) }

// All iterates over the subscriptions by id.
func (c *Cursor) All() iter.Seq2[string, Subscription] { return maps.All(maps.Clone(c.subs)) }

// Close removes all subscriptions.
func (c *Cursor) Close() {
	clear(c.subs)
	c.detach()
}

// Suspend detaches the cursor from the hub until it is used again: it is not woken, and no
// chunks are kept for it. For a connection that can't send at the moment.
func (c *Cursor) Suspend() { c.detach() }

// attach makes the cursor a member of the stream of its subscriptions.
func (c *Cursor) attach() {
	if len(c.subs) == 0 || c.stream != nil {
		return
	}
	h := c.hub
	defer h.Notify(jobs.Notice{Subject: jobs.WatchersChanged})
	h.mu.Lock()
	f := h.streamLocked(c.subs)
	f.mu.Lock()
	f.addLocked(c)
	late := h.seq > c.Seq()
	f.mu.Unlock()
	c.stream, c.suspended = f, false
	h.mu.Unlock()
	if late {
		c.wake()
	}
}

func (c *Cursor) detach() {
	h, f := c.hub, c.stream
	h.mu.Lock()
	defer h.mu.Unlock()
	c.stream, c.suspended = nil, len(c.subs) > 0
	if f == nil {
		return
	}
	defer h.Notify(jobs.Notice{Subject: jobs.WatchersChanged})
	f.mu.Lock()
	defer f.mu.Unlock()
	f.removeLocked(c)
	if len(f.shards) == 0 {
		h.removeStreamLocked(f)
	}
}

// TryNext returns the next chunk from memory, nil if there is none. If behind, the cursor is
// behind the chunks in memory, and only Next can continue.
func (c *Cursor) TryNext() (chunk *Chunk, behind bool) {
	if c.attach(); c.stream == nil {
		return nil, false
	}
	c.stream.mu.Lock()
	defer c.stream.mu.Unlock()
	return c.stream.nextLocked(c)
}

// Next is like TryNext, and reads older events from the log. jobs.ErrTrimmed if the log no
// longer holds the cursor's position: then Skip.
func (c *Cursor) Next(ctx context.Context) (*Chunk, error) {
	for {
		chunk, behind := c.TryNext()
		if !behind {
			return chunk, nil
		}
		f := c.stream
		f.mu.Lock()
		to := f.joinPointLocked(c.Seq())
		f.mu.Unlock()
		c.hub.Stats.CatchUps.Add(1)
		chunk, err := c.hub.readSelected(ctx, f.selection, c.Seq(), to)
		if err != nil {
			return nil, err
		}
		if c.seq.Store(chunk.To); len(chunk.Events) > 0 {
			return chunk, nil
		}
	}
}

// ReadUntil calls yield with all chunks up to a position, which the hub must have reached,
// and moves the cursor there. jobs.ErrTrimmed as for Next.
func (c *Cursor) ReadUntil(ctx context.Context, seq uint64, yield func(*Chunk) error) error {
	if len(c.subs) > 0 {
		for selected := selectionOf(c.subs); c.Seq() < seq; {
			chunk, err := c.hub.readSelected(ctx, selected, c.Seq(), seq)
			if err != nil {
				return err
			}
			if len(chunk.Events) > 0 {
				if err := yield(chunk); err != nil {
					return err
				}
			}
			c.Skip(chunk.To)
		}
	}
	c.Skip(seq)
	return nil
}

// Skip moves the cursor forward to seq without giving what lies before.
func (c *Cursor) Skip(seq uint64) {
	f := c.stream
	if f == nil {
		c.seq.Store(max(c.Seq(), seq))
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if !c.behind {
		f.unjoinLocked(c)
	}
	c.seq.Store(max(c.Seq(), seq))
}

// SkipUnmatched advances past events that the cursor does not select, and returns its
// position: that of the hub if no selected event is left to give.
func (c *Cursor) SkipUnmatched() uint64 {
	h, f := c.hub, c.stream
	if f == nil && len(c.subs) > 0 { // suspended
		return c.Seq()
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	if f != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.pending) > 0 || (c.behind && !f.joinLocked(c)) || c.at != f.first+uint64(len(f.chunks)) {
			return c.Seq()
		}
	}
	c.seq.Store(max(c.Seq(), h.seq))
	return c.Seq()
}

// Lag is the cursor's position, and the age of the oldest event after it that was not given.
// If the cursor is far behind, that may be an event that it does not select. It may be called
// from any goroutine.
func (c *Cursor) Lag() (seq uint64, lag time.Duration) {
	h := c.hub
	h.mu.RLock()
	defer h.mu.RUnlock()
	f := c.stream
	if seq = c.Seq(); f == nil && !c.suspended {
		return seq, 0
	}
	if f != nil {
		f.mu.Lock()
		defer f.mu.Unlock()
		if i := c.at - f.first; !c.behind && c.at >= f.first {
			switch {
			case i < uint64(len(f.chunks)):
				return seq, time.Since(f.chunks[i].ReadAt)
			case len(f.pending) > 0:
				return seq, time.Since(f.pending[0].readAt)
			}
			return seq, 0
		}
	}
	if seq >= h.seq || len(h.ring) == 0 {
		return seq, 0
	}
	return seq, time.Since(h.ring[max(seq+1, h.ring[0].Seq)-h.ring[0].Seq].readAt)
}
