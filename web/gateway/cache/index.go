package cache

import (
	"net/http"
	"slices"
	"time"
)

// resource is what is stored and on its way for one URI.
type resource struct {
	uri        hash
	slots      map[hash]*slot // by keys.shared or keys.own
	fetches    int            // on their way
	generation int            // rises when it becomes invalid; what was fetched before is not stored
}

// slot is what is stored for one key: answers that differ by the headers that they vary by, or
// a note that the last one could not be stored.
type slot struct {
	resource *resource
	key      hash
	entries  []*entry // the newest first
	pass     *entry   // nil, or an entry without an answer that stands in the queue for the note
	until    time.Time
}

func (s *slot) match(h http.Header) *entry {
	if s != nil {
		for _, e := range s.entries {
			if e.matches(h) {
				return e
			}
		}
	}
	return nil
}

// found is what is known about a request.
type found struct {
	entry *entry // the newest that matches; nil for none
	key   hash   // of the slot in which the answer is expected
	vary  []string
	pass  bool // the last answer could not be stored
	known bool // there are other variants
}

// find looks for the answers to a request.
func (c *Cache) find(k keys, h http.Header) found {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.findLocked(k, h)
}

func (c *Cache) findLocked(k keys, h http.Header) found {
	f := found{key: k.own}
	r := c.resources[k.uri]
	if r == nil {
		return f
	}
	own, shared := r.slots[k.own], r.slots[k.shared]
	f.entry = own.match(h)
	from := own
	if e := shared.match(h); e != nil && (f.entry == nil || e.received.After(f.entry.received)) {
		f.entry, from, f.key = e, shared, k.shared
	}
	if f.entry == nil && (own == nil || len(own.entries) == 0) && shared != nil && len(shared.entries) > 0 {
		from, f.key = shared, k.shared
	}
	if from != nil && len(from.entries) > 0 {
		f.known, f.vary = true, from.entries[0].vary
	}
	f.pass = own != nil && own.pass != nil && time.Now().Before(own.until)
	return f
}

// resourceLocked returns the resource of a URI and counts a fetch of it.
func (c *Cache) fetchLocked(uri hash) *resource {
	r := c.resources[uri]
	if r == nil {
		r = &resource{uri: uri, slots: map[hash]*slot{}}
		c.resources[uri] = r
	}
	r.fetches++
	return r
}

func (c *Cache) fetched(r *resource) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.fetches--
	c.tidyLocked(r)
}

func (c *Cache) tidyLocked(r *resource) {
	if r.fetches == 0 && len(r.slots) == 0 && c.resources[r.uri] == r {
		delete(c.resources, r.uri)
	}
}

func (r *resource) slot(key hash) *slot {
	s := r.slots[key]
	if s == nil {
		s = &slot{resource: r, key: key}
		r.slots[key] = s
	}
	return s
}

// store stores the answer that a flight has fetched. It takes the place of those that a
// request like the flight's would have got before.
func (c *Cache) store(f *flight, e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.resource.generation != f.generation || e.size > c.options.Bytes/4 {
		return
	}
	c.dropLocked(f.resource, f.keys, f.req.Header)
	key := f.keys.own
	if e.public {
		key = f.keys.shared
	}
	s := f.resource.slot(key)
	e.slot = s
	s.entries = slices.Insert(s.entries, 0, e)
	c.queues.add(e)
	c.counters.stored.Add(1)
	for len(s.entries) > c.options.Variants {
		c.removeLocked(s.entries[len(s.entries)-1])
	}
	c.evictLocked()
}

// pass notes that the answer to a request could not be stored.
func (c *Cache) pass(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.resource.generation != f.generation {
		return
	}
	s := f.resource.slot(f.keys.own)
	s.until = time.Now().Add(passTime)
	if s.pass == nil {
		s.pass = &entry{slot: s, size: entryCost}
		c.queues.add(s.pass)
		c.evictLocked()
	}
}

// drop removes the answers that a request would get.
func (c *Cache) drop(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dropLocked(f.resource, f.keys, f.req.Header)
}

func (c *Cache) dropLocked(r *resource, k keys, h http.Header) {
	for _, key := range []hash{k.own, k.shared} {
		s := r.slots[key]
		if s == nil {
			continue
		}
		for _, e := range slices.Clone(s.entries) {
			if e.matches(h) {
				c.removeLocked(e)
			}
		}
		if s.pass != nil {
			c.removeLocked(s.pass)
		}
	}
}

func (c *Cache) evictLocked() {
	for e := c.queues.evict(); e != nil; e = c.queues.evict() {
		c.counters.evicted.Add(1)
		c.unlinkLocked(e)
	}
}

func (c *Cache) removeLocked(e *entry) {
	c.queues.remove(e)
	c.unlinkLocked(e)
}

// unlinkLocked takes an entry out of its slot.
func (c *Cache) unlinkLocked(e *entry) {
	s := e.slot
	if s.pass == e {
		s.pass = nil
	} else if i := slices.Index(s.entries, e); i >= 0 {
		s.entries = slices.Delete(s.entries, i, i+1)
	}
	if len(s.entries) == 0 && s.pass == nil {
		delete(s.resource.slots, s.key)
		c.tidyLocked(s.resource)
	}
}

// slotOf reports whether an entry is stored.
func slotOf(c *Cache, e *entry) bool { return e.slot != nil && slices.Contains(e.slot.entries, e) }

// replaceLocked puts an entry in the place of another one with the same key.
func (c *Cache) replaceLocked(old, e *entry) {
	s := old.slot
	e.slot = s
	s.entries[slices.Index(s.entries, old)] = e
	uses := old.uses.Load()
	main := old.main
	c.queues.remove(old)
	if main {
		c.queues.addMain(e)
	} else {
		c.queues.add(e)
	}
	e.uses.Store(uses)
	c.evictLocked()
}
