package limit

import (
	"maps"
	"sync"
	"time"
	"unique"
)

// key names the state of one rule for one caller.
type key struct {
	rule unique.Handle[string]
	id   string // the consumer, the bytes of the address, or "" for all callers
}

// shard holds a part of the states. The shards of addresses and of consumers are different
// ones, as their bounds are.
type shard struct {
	order int  // in which shards are locked
	max   int  // states
	evict bool // beyond max one of the states is forgotten; else new ones are refused

	mu     sync.Mutex // protects the fields below
	now    int64      // nanoseconds since the limiter's start; does not go back by less than a second
	cells  map[key]cell
	gates  map[key]*gate
	quotas map[key]*quota
	swept  int64 // when, as now

	mostCells, mostQuotas int // since their map was made: maps do not shrink by themselves
}

// gate counts the requests of one caller that run. It is in its shard while there are any.
type gate struct {
	shard *shard
	key   key
	runs  int64
}

const (
	tolerance  = int64(time.Second)            // of clocks that parallel requests read in another order
	sweepPause = int64(250 * time.Millisecond) // between sweeps: each of one shard
	shards     = 256                           // of consumers, and of addresses
	sample     = 16                            // states of which the one closest to fresh is forgotten
)

// clockLocked sets the shard's time and returns it.
func (s *shard) clockLocked(now int64) int64 {
	if now > s.now || s.now-now > tolerance {
		s.now = now
	}
	return s.now
}

// roomLocked reports whether a state can be added; it makes room if it may.
func (s *shard) roomLocked(wall time.Time) bool {
	if len(s.cells)+len(s.quotas) < s.max {
		return true
	}
	if s.now-s.swept > sweepPause || s.now < s.swept {
		s.sweepLocked(wall)
	}
	if len(s.cells)+len(s.quotas) < s.max {
		return true
	}
	return s.evict && s.evictLocked()
}

// evictLocked forgets the cell closest to fresh of some.
func (s *shard) evictLocked() bool {
	var soonest key
	var at cell
	seen := 0
	for k, c := range s.cells { // begins anywhere
		if seen == 0 || c.at < at.at {
			soonest, at = k, c
		}
		if seen++; seen == sample {
			break
		}
	}
	delete(s.cells, soonest)
	return seen > 0
}

// sweepLocked drops what equals fresh state.
func (s *shard) sweepLocked(wall time.Time) {
	s.swept = s.now
	for k, c := range s.cells {
		if c.fresh(s.now) {
			delete(s.cells, k)
		}
	}
	for k, q := range s.quotas {
		if q.idle(wall.Unix()) {
			delete(s.quotas, k)
		}
	}
	s.cells, s.mostCells = shrink(s.cells, s.mostCells)
	s.quotas, s.mostQuotas = shrink(s.quotas, s.mostQuotas)
}

// shrink returns a smaller map with the same entries if m had far more once.
func shrink[V any](m map[key]V, most int) (map[key]V, int) {
	if most <= 64 || len(m) >= most/4 {
		return m, most
	}
	small := make(map[key]V, len(m))
	maps.Copy(small, m)
	return small, len(small)
}

// setLocked stores the cell of a key.
func (s *shard) setLocked(k key, c cell) {
	if s.cells == nil {
		s.cells = map[key]cell{}
	}
	s.cells[k] = c
	s.mostCells = max(s.mostCells, len(s.cells))
}

// addQuotaLocked stores the quota of a key.
func (s *shard) addQuotaLocked(k key, q *quota) {
	if s.quotas == nil {
		s.quotas = map[key]*quota{}
	}
	s.quotas[k] = q
	s.mostQuotas = max(s.mostQuotas, len(s.quotas))
}

// enterLocked counts a request that runs.
func (s *shard) enterLocked(k key) *gate {
	g := s.gates[k]
	if g == nil {
		g = &gate{shard: s, key: k}
		if s.gates == nil {
			s.gates = map[key]*gate{}
		}
		s.gates[k] = g
	}
	g.runs++
	return g
}

// leave ends a request that ran.
func (g *gate) leave() {
	g.shard.mu.Lock()
	defer g.shard.mu.Unlock()
	if g.runs--; g.runs == 0 && g.shard.gates[g.key] == g {
		delete(g.shard.gates, g.key)
	}
}

// forgetLocked drops the states of rules.
func (s *shard) forgetLocked(removed map[unique.Handle[string]]bool) {
	for k := range s.cells {
		if removed[k.rule] {
			delete(s.cells, k)
		}
	}
	for k := range s.gates {
		if removed[k.rule] {
			delete(s.gates, k)
		}
	}
	for k, q := range s.quotas {
		if removed[k.rule] && q.flight == nil {
			delete(s.quotas, k) // the store has its count
		}
	}
}
