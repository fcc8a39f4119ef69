package hub

import (
	"sync"
	"sync/atomic"

	"jobhub/jobs"
)

// notices are the signals that wait for notices. They have a lock of their own, because
// notices come from anywhere, also under the locks of others.
type notices struct {
	count atomic.Uint64 // of all notices

	mu      sync.RWMutex // protects the fields below
	signals map[jobs.Notice]map[*Signal]struct{}
}

// Notify notifies the views that show what the notice is about. It does not block.
func (h *Hub) Notify(n jobs.Notice) {
	h.notices.count.Add(1)
	h.notices.mu.RLock()
	defer h.notices.mu.RUnlock()
	for s := range h.notices.signals[n] {
		s.notify(nil)
	}
}

func (n *notices) add(s *Signal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.signals == nil {
		n.signals = map[jobs.Notice]map[*Signal]struct{}{}
	}
	for _, about := range s.causes.Notices {
		if n.signals[about] == nil {
			n.signals[about] = map[*Signal]struct{}{}
		}
		n.signals[about][s] = struct{}{}
	}
}

func (n *notices) remove(s *Signal) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, about := range s.causes.Notices {
		if delete(n.signals[about], s); len(n.signals[about]) == 0 {
			delete(n.signals, about)
		}
	}
}
