package hub

// Signal receives from C after events that match a filter were committed.
type Signal struct {
	C      <-chan struct{}
	c      chan struct{}
	hub    *Hub
	filter Filter
}

// Signal returns a signal for events that match a filter. Close it after use.
func (h *Hub) Signal(f Filter) *Signal {
	c := make(chan struct{}, 1)
	s := &Signal{C: c, c: c, hub: h, filter: f}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.listenLocked(f.topic(), s)
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
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	s.hub.unlistenLocked(s.filter.topic(), s)
}
