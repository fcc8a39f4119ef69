package call

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// DefaultBudget is how many bytes the answers of all jobs together may take in memory.
const DefaultBudget = 256 << 20

// maxWaitForRoom is how long reading an answer waits for memory while no other waiting answer
// gets any.
const maxWaitForRoom = 30 * time.Second

var errBusy = errors.New("no memory for the answer in time")

// Budget limits the memory of answers, from the socket until they are stored. Memory is
// acquired piece by piece as bytes arrive, first come first served. When all of it is in use,
// one attempt may exceed it, so that at least one can always finish.
type Budget struct {
	size int64

	mu        sync.Mutex // protects the fields below, and memory.acquired
	used      int64
	overdrawn *memory // the attempt that may exceed the budget; nil for none
	waiting   []*memoryRequest
	moved     time.Time // when a waiting request was last granted
}

// memoryRequest is a waiting request for memory.
type memoryRequest struct {
	by      *memory
	bytes   int64
	granted chan struct{}
}

// NewBudget returns a budget of so many bytes.
func NewBudget(size int64) *Budget { return &Budget{size: size} }

// shared is the budget of callers without one of their own.
var shared = NewBudget(DefaultBudget)

// acquire waits until an attempt may use that many bytes more.
func (b *Budget) acquire(ctx context.Context, m *memory, bytes int64) error {
	b.mu.Lock()
	if (len(b.waiting) == 0 || b.overdrawn == m) && b.grantLocked(m, bytes) {
		b.mu.Unlock()
		return nil
	}
	c := &memoryRequest{m, bytes, make(chan struct{})}
	b.waiting = append(b.waiting, c)
	b.mu.Unlock()

	err := b.await(ctx, c)
	if err == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if i := slices.Index(b.waiting, c); i >= 0 {
		b.waiting = slices.Delete(b.waiting, i, i+1)
		b.wakeLocked() // the next ones may need less
		return err
	}
	return nil // granted at the same moment
}

// await waits until a request is granted, ctx ends, or it has waited for too long.
func (b *Budget) await(ctx context.Context, c *memoryRequest) error {
	timer := time.NewTimer(maxWaitForRoom)
	defer timer.Stop()
	for {
		select {
		case <-c.granted:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-timer.C:
			b.mu.Lock()
			more := maxWaitForRoom - time.Since(b.moved)
			b.mu.Unlock()
			if more <= 0 {
				return errBusy
			}
			timer.Reset(more)
		}
	}
}

// release gives back bytes that an attempt has acquired.
func (b *Budget) release(m *memory, bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= bytes
	m.acquired -= bytes
	if b.overdrawn == m && (m.acquired == 0 || b.used <= b.size) {
		b.overdrawn = nil
	}
	b.wakeLocked()
}

func (b *Budget) grantLocked(m *memory, bytes int64) bool {
	if b.used+bytes > b.size && b.overdrawn != m {
		if b.overdrawn != nil {
			return false
		}
		b.overdrawn = m
	}
	b.used += bytes
	m.acquired += bytes
	return true
}

// wakeLocked grants waiting requests in order, and those of the attempt that may exceed the
// budget first: the others wait for it to finish.
func (b *Budget) wakeLocked() {
	for first := true; first; {
		first = false
		for i, c := range b.waiting {
			if (i == 0 || c.by == b.overdrawn) && b.grantLocked(c.by, c.bytes) {
				b.waiting = slices.Delete(b.waiting, i, i+1)
				b.moved = time.Now()
				close(c.granted)
				first = true
				break
			}
		}
	}
}
