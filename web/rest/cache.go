package rest

import (
	"maps"
	"sync"
	"time"
)

// Cache keeps answers that cost much for a while, since live views ask for them with
// every rendering.
type Cache[K comparable, V any] struct {
	mu  sync.Mutex // protects all
	all map[K]cached[V]
}

type cached[V any] struct {
	at     time.Time
	answer V
}

// Get asks only where the answer for a key is older than age. Those who ask at the same
// time may each do so; an error is not remembered.
func (r *Cache[K, V]) Get(key K, age time.Duration, ask func() (V, error)) (V, error) {
	now := time.Now()
	r.mu.Lock()
	last, known := r.all[key]
	r.mu.Unlock()
	if known && now.Sub(last.at) < age {
		return last.answer, nil
	}
	answer, err := ask()
	if err != nil {
		return answer, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.all, func(_ K, m cached[V]) bool { return now.Sub(m.at) >= age })
	if r.all == nil {
		r.all = map[K]cached[V]{}
	}
	r.all[key] = cached[V]{now, answer}
	return answer, nil
}
