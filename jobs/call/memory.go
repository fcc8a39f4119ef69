package call

import (
	"context"
	"slices"
	"sync"

	"jobhub/jobs"
)

// memory is the room for the answers of one attempt at a job: together they may have so
// many bytes, each of which takes weight bytes of the budget.
type memory struct {
	budget   *Budget
	weight   int64
	most     int64
	acquired int64 // of the budget; protected by its mutex

	mu       sync.Mutex      // protects the fields below, and read of every part
	kept     int64           // bytes of the answers that are there
	arriving int64           // of those under way
	parts    []*answerMemory // which these are, in the order in which they began
}

func (c *caller) memory(weight int64, via jobs.Via) *memory {
	return &memory{budget: c.budget, weight: weight, most: c.limit(via)}
}

// release gives all back, once nothing of the answers is in memory any more.
func (m *memory) release() {
	m.budget.mu.Lock()
	held := m.acquired
	m.budget.mu.Unlock()
	m.budget.release(m, held)
}

// answerMemory is the room of one answer. One goroutine uses it.
type answerMemory struct {
	*memory
	read, acquired int64
}

// grow waits for the memory of a longer buffer.
func (p *answerMemory) grow(ctx context.Context, bytes int) error {
	n := int64(bytes) * p.weight
	if err := p.budget.acquire(ctx, p.memory, n); err != nil {
		return err
	}
	p.acquired += n
	return nil
}

// shrink gives the memory of a buffer back.
func (p *answerMemory) shrink(bytes int) {
	n := int64(bytes) * p.weight
	p.acquired -= n
	p.budget.release(p.memory, n)
}

// count notes bytes that have arrived.
func (p *answerMemory) count(n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n == 0 {
		return nil
	}
	if p.read == 0 {
		p.parts = append(p.parts, p)
	}
	p.read += int64(n)
	p.arriving += int64(n)
	if p.roomLocked() < 0 {
		return &tooLarge{p.most}
	}
	return nil
}

// room is how many bytes may still come.
func (p *answerMemory) room() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.roomLocked(), 0)
}

// roomLocked does not hold the others against the answer that began first: those that do
// not fit in beside it are about to go.
func (p *answerMemory) roomLocked() int64 {
	if len(p.parts) > 0 && p.parts[0] == p {
		return p.most - p.kept - p.read
	}
	return p.most - p.kept - p.arriving
}

// finish ends the reading of an answer and notes how many bytes are kept of it; without
// any, its memory is given back.
func (p *answerMemory) finish(kept int) {
	p.mu.Lock()
	p.kept += int64(kept)
	p.arriving -= p.read
	p.read = 0
	p.parts = slices.DeleteFunc(p.parts, func(other *answerMemory) bool { return other == p })
	p.mu.Unlock()
	if kept == 0 {
		p.budget.release(p.memory, p.acquired)
		p.acquired = 0
	}
}

// tooLarge is the error of an answer that is larger than its room.
type tooLarge struct{ most int64 }

func (e *tooLarge) Error() string { return "the answer is larger than " + jobs.SizeText(e.most) }
