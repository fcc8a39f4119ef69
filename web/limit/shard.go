package limit

import (
	"maps"
	"strings"
	"sync"
	"time"
	"unique"
)

// key names a caller of a scope.
type key struct {
	scope unique.Handle[string]
	id    string // the consumer, the bytes of the address, or "" for all callers together
}

// caller is the states of the rules of one scope for one caller.
type caller struct {
	states *state
	quota  *quota // nil if there is none
}

// state is that of a rate or a concurrency. One that is fresh and that no request runs under
// is worth nothing.
type state struct {
	rule unique.Handle[string]
	next *state // of the caller

	end  int64 // end and used are the cell of a rate
	used uint32
	runs int32 // requests that run, of a concurrency
}

func (st *state) cell() cell { return cell{st.end, st.used} }

func (st *state) set(c cell) { st.end, st.used = c.end, c.used }

// state returns that of a rule, or nil.
func (c caller) state(rule unique.Handle[string]) *state {
	st := c.states
	for st != nil && st.rule != rule {
		st = st.next
	}
	return st
}

// shard holds the states of a part of the callers. The shards of addresses and of consumers are
// different ones, as their bounds are.
type shard struct {
	order int  // in which shards are locked
	max   int  // states and quotas
	evict bool // addresses: beyond max a caller is forgotten; else new ones are refused

	mu      sync.Mutex // protects the fields below
	now     int64      // nanoseconds since the limiter's start; does not go back by less than a second
	callers map[key]caller
	size    int   // states and quotas
	most    int   // callers since the map was made: maps do not shrink by themselves
	swept   int64 // when, as now
}

const (
	tolerance  = int64(time.Second)            // of clocks that parallel requests read in another order
	sweepPause = int64(250 * time.Millisecond) // between sweeps: each of one shard
	shards     = 192                           // of consumers, and of addresses; the maps of 1,000,000 callers are well filled then
	sample     = 16                            // callers of whom the one closest to fresh is forgotten
)

// clockLocked sets the shard's time.
func (s *shard) clockLocked(now int64) {
	if now > s.now || s.now-now > tolerance {
		s.now = now
	}
}

// makeRoomLocked makes room for one more state. It reports whether there is some.
func (s *shard) makeRoomLocked(wall time.Time) bool {
	if s.now-s.swept > sweepPause || s.now < s.swept {
		s.sweepLocked(wall)
	}
	if s.size >= s.max && s.evict {
		s.evictLocked()
		return true // all of the sample run: there are never more of them than connections
	}
	return s.size < s.max
}

// evictLocked forgets the caller closest to fresh of some, none of whose requests run.
func (s *shard) evictLocked() {
	var soonest key
	var least int64
	found, seen := false, 0
	for k, c := range s.callers { // begins anywhere
		at, busy := int64(0), c.quota != nil && c.quota.flight != nil
		for st := c.states; st != nil; st = st.next {
			at = max(at, st.end)
			busy = busy || st.runs > 0
		}
		if !busy && (!found || at < least) {
			soonest, least, found = k, at, true
		}
		if seen++; seen == sample {
			break
		}
	}
	if found {
		s.filterLocked(soonest, s.callers[soonest], func(*state) bool { return false }, func(*quota) bool { return false })
	}
}

// sweepLocked drops what equals fresh state.
func (s *shard) sweepLocked(wall time.Time) {
	s.swept = s.now
	keepState := func(st *state) bool { return st.runs > 0 || !st.cell().fresh(s.now) }
	keepQuota := func(q *quota) bool { return !q.idle(wall.Unix()) }
	for k, c := range s.callers {
		s.filterLocked(k, c, keepState, keepQuota)
	}
	if s.most > 64 && len(s.callers) < s.most/4 {
		small := make(map[key]caller, len(s.callers))
		maps.Copy(small, s.callers)
		s.callers, s.most = small, len(small)
	}
}

// forgetLocked drops the states of rules. Of quotas the store has the counts.
func (s *shard) forgetLocked(removed map[unique.Handle[string]]bool) {
	for k, c := range s.callers {
		s.filterLocked(k, c,
			func(st *state) bool { return !removed[st.rule] },
			func(q *quota) bool { return !removed[q.rule.id] || q.flight != nil })
	}
}

// filterLocked drops of a caller what is not to be kept.
func (s *shard) filterLocked(k key, c caller, keepState func(*state) bool, keepQuota func(*quota) bool) {
	before := c
	for at := &c.states; *at != nil; {
		if keepState(*at) {
			at = &(*at).next
			continue
		}
		*at = (*at).next
		s.size--
	}
	if c.quota != nil && !keepQuota(c.quota) {
		c.quota = nil
		s.size--
	}
	switch {
	case c == caller{}:
		delete(s.callers, k)
	case c != before:
		s.callers[k] = c
	}
}

// addLocked adds a state or a quota to a caller.
func (s *shard) addLocked(k key, st *state, q *quota) {
	c, found := s.callers[k]
	if !found {
		k.id = strings.Clone(k.id) // it may be a part of something large
	}
	if st != nil {
		st.next, c.states = c.states, st
	} else {
		c.quota = q
	}
	if s.callers == nil {
		s.callers = map[key]caller{}
	}
	s.callers[k] = c
	s.size++
	s.most = max(s.most, len(s.callers))
}

// held is a request that runs under a concurrency.
type held struct {
	shard *shard
	state *state
}

func (h held) leave() {
	h.shard.mu.Lock()
	h.state.runs--
	h.shard.mu.Unlock()
}
