package eventlog

import (
	"context"
	"sync"

	"jobhub/jobs"
)

// Tail holds the newest events in memory, so that readers that keep up never touch
// the database. It is safe for concurrent use.
type Tail struct {
	limit int // bytes of events that it holds

	mu     sync.RWMutex  // protects the fields below
	events []*jobs.Event // consecutive, the newest last
	bytes  int
	head   uint64        // seq of the newest event
	floor  uint64        // events up to here are trimmed
	grown  chan struct{} // closed and replaced when head rises
}

// NewTail returns an empty tail that holds limit bytes of events; none if negative.
func NewTail(limit int) *Tail { return &Tail{limit: limit, grown: make(chan struct{})} }

// Limit is how many bytes of events it holds; none if not positive.
func (t *Tail) Limit() int { return t.limit }

// Start sets the seq of the newest event that is stored, and up to which events are trimmed.
func (t *Tail) Start(head, floor uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.head, t.floor = head, floor
}

// Publish makes events visible. They follow directly on head.
func (t *Tail) Publish(events []*jobs.Event) {
	if len(events) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range events {
		t.bytes += e.Size()
	}
	t.events = append(t.events, events...)
	t.head = events[len(events)-1].Seq
	drop := 0
	for drop < len(t.events) && t.bytes > t.limit {
		t.bytes -= t.events[drop].Size()
		drop++
	}
	if drop > 0 {
		clear(t.events[:drop:drop]) // readers have copies
		t.events = t.events[drop:]
	}
	close(t.grown)
	t.grown = make(chan struct{})
}

// After returns events behind seq that are in memory. ok is false if the database
// has to be asked.
func (t *Tail) After(seq uint64, maxBytes int) (events []*jobs.Event, ok bool, err error) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	switch {
	case seq > t.head:
		return nil, true, jobs.ErrAhead
	case seq < t.floor:
		return nil, true, jobs.ErrTrimmed
	case seq == t.head:
		return nil, true, nil
	case len(t.events) == 0 || seq+1 < t.events[0].Seq:
		return nil, false, nil
	}
	from := t.events[seq+1-t.events[0].Seq:]
	n, size := 0, 0
	for n < len(from) && (n == 0 || size < maxBytes) {
		size += from[n].Size()
		n++
	}
	return append([]*jobs.Event(nil), from[:n]...), true, nil
}

// At returns the event of that seq if it is in memory.
func (t *Tail) At(seq uint64) *jobs.Event {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if len(t.events) == 0 || seq < t.events[0].Seq || seq > t.head {
		return nil
	}
	return t.events[seq-t.events[0].Seq]
}

// Wait returns when there is an event after seq. jobs.ErrClosed if closed is closed before.
func (t *Tail) Wait(ctx context.Context, seq uint64, closed <-chan struct{}) error {
	for {
		t.mu.RLock()
		head, grown := t.head, t.grown
		t.mu.RUnlock()
		if head > seq {
			return nil
		}
		select {
		case <-grown:
		case <-closed:
			return jobs.ErrClosed
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Position is the seq of the newest event, and up to which events are trimmed.
func (t *Tail) Position() (head, floor uint64) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.head, t.floor
}

// RaiseFloor treats events up to floor as trimmed, except those in memory, and returns the
// new floor.
func (t *Tail) RaiseFloor(floor uint64) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.events) > 0 {
		floor = min(floor, t.events[0].Seq-1)
	}
	t.floor = max(t.floor, floor)
	return t.floor
}

// Trimmed forgets events up to floor.
func (t *Tail) Trimmed(floor uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.floor = max(t.floor, floor)
	drop := 0
	for drop < len(t.events) && t.events[drop].Seq <= t.floor {
		t.bytes -= t.events[drop].Size()
		drop++
	}
	t.events = append([]*jobs.Event(nil), t.events[drop:]...)
}
