package cache

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a Cache. The zero value of each member stands for its default.
type Options struct {
	Bytes      int64         // of all that is stored, with headers; 64 MiB
	EntryBytes int64         // of one body; 1 MiB
	Variants   int           // answers of one key that differ by Vary; 32
	Revalidate time.Duration // how long a revalidation in the background may take; 30 s
	WaitBody   time.Duration // how long equal requests wait for a body of unknown length; 2 s
}

const (
	maxBackground = 64               // revalidations in the background at the same time
	passTime      = 30 * time.Second // how long requests are not collapsed after an answer that could not be stored
)

// Cache stores answers for any number of Transports. Its methods may be called in parallel.
type Cache struct {
	options    Options
	background context.Context // of revalidations in the background
	stop       context.CancelFunc
	work       sync.WaitGroup // of revalidations in the background
	slots      chan struct{}  // for revalidations in the background
	arriving   atomic.Int64   // bytes of answers on their way to the store
	counters   counters

	mu        sync.RWMutex // protects the fields below
	closed    bool
	resources map[hash]*resource
	flights   map[flightKey]*flight
	queues    queues
}

// New returns an empty cache. Close it when its Transports are no longer used.
func New(o Options) *Cache {
	o.Bytes = cmp.Or(o.Bytes, 64<<20)
	o.EntryBytes = cmp.Or(o.EntryBytes, 1<<20)
	o.Variants = cmp.Or(o.Variants, 32)
	o.Revalidate = cmp.Or(o.Revalidate, 30*time.Second)
	o.WaitBody = cmp.Or(o.WaitBody, 2*time.Second)
	c := &Cache{options: o, slots: make(chan struct{}, maxBackground), resources: map[hash]*resource{}, flights: map[flightKey]*flight{}}
	c.background, c.stop = context.WithCancel(context.Background())
	c.queues.limit = o.Bytes
	return c
}

// Close ends revalidations in the background and waits for them. Requests may go on.
func (c *Cache) Close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.stop()
	c.work.Wait()
}

// reserve takes n bytes for an answer on its way to the store; false if too many are.
func (c *Cache) reserve(n int64) bool {
	if c.arriving.Add(n) > max(c.options.Bytes/4, 64<<10) {
		c.arriving.Add(-n)
		return false
	}
	return true
}

type counters struct {
	hits, stale, validated, misses, collapsed, passed, stored, evicted, invalidated atomic.Int64
}

// Stats are counts since New, and what is stored now.
type Stats struct {
	Hits        int64 // answered from memory, the stale ones as well
	Stale       int64 // of these, answered with a stale answer
	Validated   int64 // answered from memory after the upstream said 304
	Misses      int64 // sent to the upstream
	Collapsed   int64 // answered with the answer to an equal request at the same time
	Passed      int64 // not for the cache
	Stored      int64 // answers that were stored
	Evicted     int64 // answers that made room for others
	Invalidated int64 // answers that an unsafe request made invalid

	Entries, Bytes int64 // stored now
}

// Stats returns the counters.
func (c *Cache) Stats() Stats {
	n := &c.counters
	s := Stats{Hits: n.hits.Load(), Stale: n.stale.Load(), Validated: n.validated.Load(), Misses: n.misses.Load(), Collapsed: n.collapsed.Load(),
		Passed: n.passed.Load(), Stored: n.stored.Load(), Evicted: n.evicted.Load(), Invalidated: n.invalidated.Load()}
	c.mu.RLock()
	defer c.mu.RUnlock()
	s.Entries, s.Bytes = int64(c.queues.small.Len()+c.queues.main.Len()), c.queues.bytes()
	return s
}
