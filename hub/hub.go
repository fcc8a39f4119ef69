// Package hub follows the log of a store and wakes those who watch.
//
// What it promises:
//
//   - Every event that matches reaches a Cursor once and in the order of the log. There
//     is one way: the hub reads the store's log, cursors read the hub's ring of recent
//     events, and behind the ring the log itself. Live and replay are the same read.
//   - A cursor that is not read costs nothing but its place: memory is bounded by the
//     ring, whoever is slow. If the log was trimmed past a cursor, its owner is told.
//   - An event costs only the cursors it matches.
//
// Nothing calls upward: the owner of a cursor waits on Wake and then asks Next.
package hub

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"jobhub/jobs"
)

// Log is what the hub needs of a store.
type Log interface {
	Head() jobs.Position
	Read(ctx context.Context, q jobs.ReadQuery) ([]*jobs.Event, error)
	Wait(ctx context.Context, seq uint64) error
}

// Event is an event together with its JSON, which is made at most once for all readers.
type Event struct {
	*jobs.Event
	epoch string
	line  atomic.Pointer[[]byte]
}

// JSON is the event as it goes to subscribers, without a newline. Do not write to it.
func (e *Event) JSON() []byte {
	if b := e.line.Load(); b != nil {
		return *b
	}
	b := e.Event.AppendJSON(make([]byte, 0, 256+len(e.Data)), e.epoch)
	e.line.Store(&b)
	return b
}

// Options of a Hub. The zero value of all but Log means a default.
type Options struct {
	Log       Log
	RingBytes int // memory for recent events; 16 MiB
	Logger    *slog.Logger
}

// Hub is a reader of one log. It has one goroutine, and one for each view that is watched.
type Hub struct {
	log    *slog.Logger
	source Log
	render Renderer // set by Draw before the first View
	limit  int
	Meter  Meter

	background context.Context
	stop       context.CancelFunc
	loops      sync.WaitGroup

	mu     sync.RWMutex // protects the fields below
	ring   []*Event     // consecutive, the newest last
	bytes  int
	seq    uint64 // of the newest event that was followed
	topics map[topic]map[*Cursor]struct{}
	grown  chan struct{} // closed and replaced when seq rises
	views  map[string]*view
}

// topic is what cursors are indexed by; the zero topic is everything.
type topic struct {
	tenant string
	kind   topicKind
	job    jobs.ID
	name   string
}

type topicKind uint8

const (
	topicAll topicKind = iota
	topicJob
	topicQueue
	topicKindOfJob
	topicTag
)

// New starts a hub. It has caught up with the log when it returns.
func New(ctx context.Context, o Options) (*Hub, error) {
	h := &Hub{source: o.Log, log: o.Logger, limit: o.RingBytes, topics: map[topic]map[*Cursor]struct{}{},
		grown: make(chan struct{}), views: map[string]*view{}}
	if h.limit == 0 {
		h.limit = 16 << 20
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	head := h.source.Head().Seq
	h.seq = head - min(head, meterBacklog) // so that the rates do not start from nothing
	if _, err := h.source.Read(ctx, jobs.ReadQuery{After: h.seq, MaxBytes: 1}); err != nil {
		h.seq = head
	}
	for h.seq < head {
		if err := h.follow(ctx); err != nil {
			return nil, err
		}
	}
	h.background, h.stop = context.WithCancel(context.Background())
	h.loops.Go(h.run)
	return h, nil
}

// Close ends the hub's goroutines.
func (h *Hub) Close() {
	h.stop()
	h.loops.Wait()
}

// Epoch names the log that the hub follows.
func (h *Hub) Epoch() string { return h.source.Head().Epoch }

// Position is how far the hub has followed the log.
func (h *Hub) Position() jobs.Position {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return jobs.Position{Epoch: h.source.Head().Epoch, Seq: h.seq}
}

// Reach waits until the hub has followed the log up to seq.
func (h *Hub) Reach(ctx context.Context, seq uint64) error {
	for {
		h.mu.RLock()
		at, grown := h.seq, h.grown
		h.mu.RUnlock()
		if at >= seq {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (h *Hub) run() {
	for h.background.Err() == nil {
		err := h.source.Wait(h.background, h.seq)
		if err == nil {
			err = h.follow(h.background)
		}
		if errors.Is(err, jobs.ErrTrimmed) {
			h.log.Warn("the log was trimmed before it was read", "after", h.seq)
			h.leap()
			continue
		}
		if err != nil && h.background.Err() == nil {
			h.log.Error("reading the log", "error", err)
			select {
			case <-time.After(time.Second):
			case <-h.background.Done():
			}
		}
	}
}

// follow takes in what the log holds behind seq. Only the hub's goroutine calls it.
func (h *Hub) follow(ctx context.Context) error {
	events, err := h.source.Read(ctx, jobs.ReadQuery{After: h.seq})
	if err != nil || len(events) == 0 {
		return err
	}
	epoch := h.source.Head().Epoch
	added := make([]Event, len(events))
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, e := range events {
		added[i].Event, added[i].epoch = e, epoch
		h.ring = append(h.ring, &added[i])
		h.bytes += 2 * e.Size() // the event and, in time, its JSON
		h.Meter.count(e)
		h.wakeLocked(e)
	}
	drop := 0
	for h.bytes > h.limit && drop < len(h.ring)-1 {
		h.bytes -= 2 * h.ring[drop].Size()
		drop++
	}
	clear(h.ring[:drop])
	h.ring = h.ring[drop:]
	h.seq = events[len(events)-1].Seq
	close(h.grown)
	h.grown = make(chan struct{})
	return nil
}

// leap goes on behind a part of the log that was trimmed before the hub had read it.
// All cursors are woken, so that those with subscriptions in it find out that they
// missed something. Only the hub's goroutine calls it.
func (h *Hub) leap() {
	head := h.source.Head().Seq
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, cursors := range h.topics {
		for c := range cursors {
			c.mark(h.seq + 1)
		}
	}
	clear(h.ring)
	h.ring, h.bytes, h.seq = nil, 0, head
	close(h.grown)
	h.grown = make(chan struct{})
}

// wakeLocked marks the cursors that an event concerns.
func (h *Hub) wakeLocked(e *jobs.Event) {
	wake := func(t topic) {
		for c := range h.topics[t] {
			c.mark(e.Seq)
		}
	}
	wake(topic{tenant: e.Tenant})
	wake(topic{tenant: e.Tenant, kind: topicQueue, name: e.Queue})
	if e.Job != (jobs.ID{}) {
		wake(topic{tenant: e.Tenant, kind: topicJob, job: e.Job})
		wake(topic{tenant: e.Tenant, kind: topicKindOfJob, name: e.Kind})
	}
	for _, tag := range e.Tags {
		wake(topic{tenant: e.Tenant, kind: topicTag, name: tag})
	}
}

// after returns events behind seq: from the ring, or from the log behind it.
func (h *Hub) after(ctx context.Context, seq uint64, most int) ([]*Event, error) {
	h.mu.RLock()
	if len(h.ring) > 0 && seq+1 >= h.ring[0].Seq {
		from := h.ring[min(seq+1-h.ring[0].Seq, uint64(len(h.ring))):]
		from = append([]*Event(nil), from[:min(most, len(from))]...)
		h.mu.RUnlock()
		return from, nil
	}
	reached := h.seq
	h.mu.RUnlock()
	if seq >= reached {
		return nil, nil
	}
	events, err := h.source.Read(ctx, jobs.ReadQuery{After: seq, MaxBytes: 256 << 10})
	if err != nil {
		return nil, err
	}
	return h.wrap(events[:min(most, len(events))], reached), nil
}

// wrap makes hub events of those that the hub has followed already.
func (h *Hub) wrap(events []*jobs.Event, reached uint64) []*Event {
	epoch := h.source.Head().Epoch
	out := make([]*Event, 0, len(events))
	for _, e := range events {
		if e.Seq <= reached {
			out = append(out, &Event{Event: e, epoch: epoch})
		}
	}
	return out
}
