package hub

import "sync"

// wakers wake the cursors of queued shards. They share one queue, which holds a shard at most
// once.
type wakers struct {
	mu     sync.Mutex // protects the fields below
	added  *sync.Cond
	queue  []*shard
	closed bool
}

func (w *wakers) init() { w.added = sync.NewCond(&w.mu) }

func (w *wakers) add(shards []*shard) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, shards...)
	if len(shards) == 1 {
		w.added.Signal()
	} else {
		w.added.Broadcast()
	}
}

func (w *wakers) run() {
	for {
		w.mu.Lock()
		for len(w.queue) == 0 && !w.closed {
			w.added.Wait()
		}
		if w.closed {
			w.mu.Unlock()
			return
		}
		s := w.queue[0]
		w.queue[0] = nil
		if w.queue = w.queue[1:]; len(w.queue) == 0 {
			w.queue = nil
		}
		w.mu.Unlock()
		s.wakeMembers()
	}
}

func (w *wakers) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.added.Broadcast()
}
