package hub

import (
	"slices"

	"jobhub/jobs"
)

// Causes is what a signal waits for, or what changes a view: events that match one of the
// filters, and notices.
type Causes struct {
	Filters []Filter
	Notices []jobs.Notice
}

func (c Causes) equal(other Causes) bool {
	return slices.Equal(c.Filters, other.Filters) && slices.Equal(c.Notices, other.Notices)
}

// Signal receives from C after one of its causes: an event is committed by then.
type Signal struct {
	C      <-chan struct{}
	c      chan struct{}
	hub    *Hub
	causes Causes
}

// Signal returns a signal for these causes. Close it after use.
func (h *Hub) Signal(causes Causes) *Signal {
	c := make(chan struct{}, 1)
	s := &Signal{C: c, c: c, hub: h, causes: causes}
	h.notices.add(s)
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range causes.Filters {
		h.listenLocked(f.topic(), s)
	}
	return s
}

func (s *Signal) notify(*Event) {
	select {
	case s.c <- struct{}{}:
	default:
	}
}

// Close ends the signal.
func (s *Signal) Close() {
	s.hub.notices.remove(s)
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	for _, f := range s.causes.Filters {
		s.hub.unlistenLocked(f.topic(), s)
	}
}
