package sqlite

import (
	"context"
	"sync"

	"jobhub/jobs"
)

// tail holds the newest events in memory, so that readers that keep up never touch
// the database.
type tail struct {
	limit int // bytes

	mu     sync.RWMutex  // protects the fields below
	events []*jobs.Event // consecutive, the newest last
	bytes  int
	head   uint64        // seq of the newest event
	floor  uint64        // events up to here are trimmed
	grown  chan struct{} // closed and replaced when head rises
}

// publish makes events visible. They follow directly on head.
func (t *tail) publish(events []*jobs.Event) {
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

// after returns events behind seq that are in memory. ok is false if the database
// has to be asked.
func (t *tail) after(seq uint64, maxBytes int) (events []*jobs.Event, ok bool, err error) {
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

// at returns the event of that seq if it is in memory.
func (t *tail) at(seq uint64) *jobs.Event {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if len(t.events) == 0 || seq < t.events[0].Seq || seq > t.head {
		return nil
	}
	return t.events[seq-t.events[0].Seq]
}

func (t *tail) wait(ctx context.Context, seq uint64, closed <-chan struct{}) error {
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

func (t *tail) position() (head, floor uint64) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.head, t.floor
}

// raiseFloor treats events up to floor as trimmed, except those in memory, and returns the
// new floor.
func (t *tail) raiseFloor(floor uint64) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.events) > 0 {
		floor = min(floor, t.events[0].Seq-1)
	}
	t.floor = max(t.floor, floor)
	return t.floor
}

func (t *tail) trimmed(floor uint64) {
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
