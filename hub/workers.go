package hub

import "sync"

// workers wake the cursors of the shards that are due. They share one queue, in which a
// shard stands at most once.
type workers struct {
	mu     sync.Mutex // protects the fields below
	added  *sync.Cond
	queue  []*shard
	closed bool
}

func (w *workers) init() { w.added = sync.NewCond(&w.mu) }

func (w *workers) add(shards []*shard) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.queue = append(w.queue, shards...)
	if len(shards) == 1 {
		w.added.Signal()
	} else {
		w.added.Broadcast()
	}
}

func (w *workers) run() {
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
		s.sweep()
	}
}

func (w *workers) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.added.Broadcast()
}
