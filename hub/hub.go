// Package hub follows the log of a store and wakes those who watch.
//
// What it promises:
//
//   - Every event that matches reaches a Cursor once and in the order of the log. There
//     is one way: the hub reads the store's log, cursors read the hub's ring of recent
//     events, and behind the ring the log itself. Live and replay are the same read.
//   - A slow cursor costs nothing but its position: memory is bounded by the ring. If the log
//     was trimmed past a cursor, Next fails with jobs.ErrTrimmed.
//   - Handling an event costs time only for the cursors that it matches.
//   - A view is rendered when an event or a notice changes it, and not on a timer, unless it
//     shows what changes with time alone. Notices tell of what is not in the log: schedules,
//     workers, settings.
//
// The hub calls nothing of its users but wake functions: the owner of a cursor is woken and
// then calls Next.
package hub

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
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

// Options of a Hub. The zero value of all but Log means a default.
type Options struct {
	Log       Log
	RingBytes int // memory for recent events; 16 MiB
	Logger    *slog.Logger

	// Pace is the least time between two chunks of a subscription that hold only progress and
	// output; 50 ms if 0, none if negative.
	Pace time.Duration
}

// Hub is a reader of one log. It has one goroutine that reads the log, one for each processor
// that wakes cursors, and one for each view with viewers.
type Hub struct {
	log       *slog.Logger
	source    Log
	render    Renderer // set by SetRenderer before the first View
	limit     int
	pace      time.Duration
	Meter     Meter
	Latencies Latencies
	Stats     Stats

	background context.Context
	stop       context.CancelFunc
	loops      sync.WaitGroup
	wakers     wakers
	notices    notices

	mu      sync.RWMutex // protects the fields below
	ring    []*Event     // consecutive, the newest last
	bytes   int
	seq     uint64 // of the newest event that was followed
	topics  map[topic]map[listener]struct{}
	streams map[Subscription]*stream // the shared ones
	dirty   []*stream                // streams with new events of the read that is being handled
	grown   chan struct{}            // closed and replaced when seq rises
	views   map[ViewKey]*view
}

// listener is notified of the events of its topics, while Hub.mu is held.
type listener interface{ notify(e *Event) }

// Stats counts what the hub did since it started.
type Stats struct {
	Events   atomic.Int64 // followed
	Chunks   atomic.Int64 // cut for all cursors that share a subscription
	Merged   atomic.Int64 // progress that newer progress replaced
	CatchUps atomic.Int64 // chunks read for one cursor that was behind
	Renders  atomic.Int64 // of views, each for all viewers
	Encoded  atomic.Int64 // of patches, each for all viewers that get the same bytes
}

// New starts a hub. It has caught up with the log when it returns.
func New(ctx context.Context, o Options) (*Hub, error) {
	h := &Hub{source: o.Log, log: o.Logger, limit: o.RingBytes, pace: o.Pace, topics: map[topic]map[listener]struct{}{},
		streams: map[Subscription]*stream{}, grown: make(chan struct{}), views: map[ViewKey]*view{}}
	h.wakers.init()
	if h.limit == 0 {
		h.limit = 16 << 20
	}
	if h.pace == 0 {
		h.pace = 50 * time.Millisecond
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
		err := h.follow(ctx)
		if errors.Is(err, jobs.ErrTrimmed) {
			h.seq, err = head, nil
		}
		if err != nil {
			return nil, err
		}
	}
	h.background, h.stop = context.WithCancel(context.Background())
	h.loops.Go(h.run)
	for range runtime.GOMAXPROCS(0) {
		h.loops.Go(h.wakers.run)
	}
	return h, nil
}

// Close ends the hub's goroutines.
func (h *Hub) Close() {
	h.stop()
	h.wakers.close()
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

// WaitFor waits until the hub has followed the log up to seq.
func (h *Hub) WaitFor(ctx context.Context, seq uint64) error {
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
			h.skipTrimmed()
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

// follow reads the next events of the log. Only the hub's goroutine calls it.
func (h *Hub) follow(ctx context.Context) error {
	events, err := h.source.Read(ctx, jobs.ReadQuery{After: h.seq})
	if err != nil || len(events) == 0 {
		return err
	}
	epoch, now := h.source.Head().Epoch, time.Now()
	added := make([]Event, len(events))
	h.mu.Lock()
	defer h.mu.Unlock()
	h.Stats.Events.Add(int64(len(events)))
	for i, e := range events {
		added[i].Event, added[i].epoch, added[i].readAt = e, epoch, now
		h.ring = append(h.ring, &added[i])
		h.bytes += 2 * e.Size() // the event and, in time, its JSON
		h.Meter.count(e)
		h.Latencies.count(e)
		for t := range func(yield func(topic) bool) { topicsOf(e, yield) } {
			for l := range h.topics[t] {
				l.notify(&added[i])
			}
		}
	}
	drop := 0
	for h.bytes > h.limit && drop < len(h.ring)-1 {
		h.bytes -= 2 * h.ring[drop].Size()
		drop++
	}
	clear(h.ring[:drop])
	h.ring = h.ring[drop:]
	h.advanceLocked(events[len(events)-1].Seq, now)
	return nil
}

// advanceLocked sets how far the log was followed, and wakes the streams with new events.
func (h *Hub) advanceLocked(seq uint64, now time.Time) {
	h.seq = seq
	for i, f := range h.dirty {
		f.mu.Lock()
		f.dirty = false
		f.wakeIfDueLocked(now)
		f.mu.Unlock()
		h.dirty[i] = nil
	}
	h.dirty = h.dirty[:0]
	close(h.grown)
	h.grown = make(chan struct{})
	h.Notify(jobs.Notice{Subject: jobs.LogChanged})
}

// skipTrimmed continues at the head after events were trimmed before the hub had read them.
// All cursors are woken, so that they notice the gap. Only the hub's goroutine calls it.
func (h *Hub) skipTrimmed() {
	head := h.source.Head().Seq
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, listeners := range h.topics {
		for l := range listeners {
			switch l := l.(type) {
			case *stream:
				l.mu.Lock()
				l.resetLocked(head)
				if !l.dirty {
					l.dirty = true
					h.dirty = append(h.dirty, l)
				}
				l.mu.Unlock()
			case *Signal:
				l.notify(nil)
			}
		}
	}
	clear(h.ring)
	h.ring, h.bytes = nil, 0
	h.advanceLocked(head, time.Now())
}

func (h *Hub) listenLocked(t topic, l listener) {
	if h.topics[t] == nil {
		h.topics[t] = map[listener]struct{}{}
	}
	h.topics[t][l] = struct{}{}
}

func (h *Hub) unlistenLocked(t topic, l listener) {
	if delete(h.topics[t], l); len(h.topics[t]) == 0 {
		delete(h.topics, t)
	}
}

// streamLocked finds or makes the stream of some subscriptions.
func (h *Hub) streamLocked(subs map[string]Subscription) *stream {
	f := &stream{hub: h, selection: selectionOf(subs), shared: len(subs) == 1, seq: h.seq, base: h.seq}
	for _, s := range subs {
		if f.shared {
			if found := h.streams[s]; found != nil {
				return found
			}
			f.key = s
			h.streams[s] = f
		}
		h.listenLocked(s.topic(), f)
	}
	return f
}

// removeStreamLocked removes a stream that has no members.
func (h *Hub) removeStreamLocked(f *stream) {
	if f.shared {
		delete(h.streams, f.key)
		h.unlistenLocked(f.key.topic(), f)
		return
	}
	for t := range f.selection.modes {
		h.unlistenLocked(t, f)
	}
}

// Watchers is how many cursors have a subscription to this filter's topic.
func (h *Hub) Watchers(f Filter) (n int) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	for l := range h.topics[f.topic()] {
		if f, ok := l.(*stream); ok {
			f.mu.Lock()
			for _, s := range f.shards {
				n += len(s.members)
			}
			f.mu.Unlock()
		}
	}
	return n
}
