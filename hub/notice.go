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
	last  sync.Map      // the count at the newest of each: jobs.Notice to *atomic.Uint64

	mu      sync.RWMutex // protects the fields below
	signals map[jobs.Notice]map[*Signal]struct{}
}

// Notify notifies the views that show what the notice is about. It does not block.
func (h *Hub) Notify(n jobs.Notice) {
	last, ok := h.notices.last.Load(n)
	if !ok {
		last, _ = h.notices.last.LoadOrStore(n, new(atomic.Uint64))
	}
	newest, count := last.(*atomic.Uint64), h.notices.count.Add(1)
	for old := newest.Load(); old < count && !newest.CompareAndSwap(old, count); {
		old = newest.Load() // another notice of the same came in between
	}
	h.notices.mu.RLock()
	defer h.notices.mu.RUnlock()
	for s := range h.notices.signals[n] {
		s.notify(nil)
	}
}

// since reports whether one of these notices came after that count.
func (n *notices) since(count uint64, list []jobs.Notice) bool {
	for _, about := range list {
		if last, ok := n.last.Load(about); ok && last.(*atomic.Uint64).Load() > count {
			return true
		}
	}
	return false
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
