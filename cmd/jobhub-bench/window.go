package main

import "sync"

// window closes the loop between clients that submit jobs and the worker that finishes them:
// it limits the number of unfinished jobs.
type window struct {
	most int

	mu   sync.Mutex // protects the fields below
	room *sync.Cond // signals a change
	sent int        // submitted, or about to be; may be read without mu when the clients have ended
	done int
	over bool
}

func newWindow(most int) *window {
	w := &window{most: most}
	w.room = sync.NewCond(&w.mu)
	return w
}

// take waits until n more jobs may be submitted; it returns false at the end.
func (w *window) take(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for !w.over && w.sent-w.done+n > w.most {
		w.room.Wait()
	}
	if w.over {
		return false
	}
	w.sent += n
	return true
}

// finish sets how many jobs have finished since the beginning.
func (w *window) finish(total int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done = total
	w.room.Broadcast()
}

func (w *window) finished() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.done
}

// end lets the clients stop.
func (w *window) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.room.Broadcast()
}
