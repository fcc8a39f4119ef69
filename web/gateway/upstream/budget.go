package upstream

import (
	"sync"
	"time"
)

const (
	budgetTime  = 10 // seconds that a budget looks back
	budgetShare = 5  // one try more for so many requests
	budgetLeast = 10 // tries more, whatever the requests
)

// budget bounds the tries beyond the first of each request, so that a pool in trouble does not
// get a multiple of its requests.
type budget struct {
	mu    sync.Mutex // protects the field below
	slots [budgetTime]struct{ second, requests, retries int64 }
}

// count counts a request.
func (b *budget) count(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.slots[b.slotLocked(now)].requests++
}

func (b *budget) slotLocked(now time.Time) int64 {
	second := now.Unix()
	i := second % budgetTime
	if b.slots[i].second != second {
		b.slots[i].second, b.slots[i].requests, b.slots[i].retries = second, 0, 0
	}
	return i
}

// take reports whether one more try is in the budget, and counts it.
func (b *budget) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.slotLocked(now)
	var requests, retries int64
	for _, s := range b.slots {
		if s.second > now.Unix()-budgetTime && s.second <= now.Unix() {
			requests += s.requests
			retries += s.retries
		}
	}
	if retries >= budgetLeast+requests/budgetShare {
		return false
	}
	b.slots[at].retries++
	return true
}
