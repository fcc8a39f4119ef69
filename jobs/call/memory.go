package call

import (
	"context"
	"slices"
	"sync"

	"jobhub/jobs"
)

// memory is the memory for the answers of one attempt at a job: together they may have most
// bytes. Each byte acquires weight bytes of the budget.
type memory struct {
	budget   *Budget
	weight   int64
	most     int64
	acquired int64 // bytes of the budget; protected by the budget's mutex

	mu       sync.Mutex      // protects the fields below, and answerMemory.read
	kept     int64           // bytes of the complete answers
	arriving int64           // bytes of the answers that are being read
	parts    []*answerMemory // these answers, in the order in which they began
}

func (c *caller) memory(weight int64, via jobs.Via) *memory {
	return &memory{budget: c.budget, weight: weight, most: c.limit(via)}
}

// release gives everything back, once the answers are no longer in memory.
func (m *memory) release() {
	m.budget.mu.Lock()
	held := m.acquired
	m.budget.mu.Unlock()
	m.budget.release(m, held)
}

// answerMemory is the memory of one answer. Only one goroutine uses it.
type answerMemory struct {
	*memory
	read, acquired int64
}

// grow waits for the memory of a larger buffer.
func (p *answerMemory) grow(ctx context.Context, bytes int) error {
	n := int64(bytes) * p.weight
	if err := p.budget.acquire(ctx, p.memory, n); err != nil {
		return err
	}
	p.acquired += n
	return nil
}

// shrink gives back the memory of a buffer.
func (p *answerMemory) shrink(bytes int) {
	n := int64(bytes) * p.weight
	p.acquired -= n
	p.budget.release(p.memory, n)
}

// count adds bytes that have arrived; an error if the answer is too large.
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

// room is how many more bytes the answer may have.
func (p *answerMemory) room() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.roomLocked(), 0)
}

// roomLocked ignores the other answers for the one that began first: those that do not fit
// beside it will fail.
func (p *answerMemory) roomLocked() int64 {
	if len(p.parts) > 0 && p.parts[0] == p {
		return p.most - p.kept - p.read
	}
	return p.most - p.kept - p.arriving
}

// finish ends the reading of an answer, of which kept bytes stay in memory. If none do, all
// its memory is released.
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
