package rest

import (
	"maps"
	"sync"
	"time"
)

// Cache keeps the results of expensive reads for a while, since live views need them for
// every rendering. The zero value is empty and ready to use.
type Cache[K comparable, V any] struct {
	mu  sync.Mutex // protects all
	all map[K]cached[V]
}

type cached[V any] struct {
	at     time.Time
	answer V
}

// Get returns the cached value for a key, or reads it again if it is older than age.
// Concurrent callers may each read; errors are not cached.
func (c *Cache[K, V]) Get(key K, age time.Duration, read func() (V, error)) (V, error) {
	now := time.Now()
	c.mu.Lock()
	last, known := c.all[key]
	c.mu.Unlock()
	if known && now.Sub(last.at) < age {
		return last.answer, nil
	}
	answer, err := read()
	if err != nil {
		return answer, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.all, func(_ K, m cached[V]) bool { return now.Sub(m.at) >= age })
	if c.all == nil {
		c.all = map[K]cached[V]{}
	}
	c.all[key] = cached[V]{now, answer}
	return answer, nil
}
