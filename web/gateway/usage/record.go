package usage

import (
	"cmp"
	"hash/maphash"
	"sync"
	"time"

	"jobhub/jobs"
)

// Call is one call, at its end.
type Call struct {
	Tenant   string // jobs.DefaultTenant if empty
	Consumer string // see auth.Identity.Consumer; empty if the caller is not known
	API      string // of the catalogue; empty if the route is of none
	Version  string // of the API
	Route    string // the route, or the pattern of the hub's own path
	Model    string // of a model call; else empty
	Status   int    // of the answer; 0 if there was none
	Took     time.Duration
	In, Out  int64 // bytes of the bodies of request and answer; less than 0 counts as 0
	Cost     int64 // nano-USD; less than 0 counts as 0
}

const (
	shardCount = 32
	lateness   = 2 // minutes: what comes later is of a clock that was set back
	maxClosed  = 8 // minutes that wait to be collected; beyond, the last one takes more. Only a clock that jumps makes so many
)

// key is a series and whose it is.
type key struct {
	tenant string
	series
}

// shard counts the calls of some consumers and routes since they were last collected.
type shard struct {
	mu     sync.Mutex // protects the fields below
	minute int64      // that cells are of, since 1970
	cells  map[key]*row
	closed []counted // earlier minutes
	_      [64]byte  // keeps the locks of two shards out of one cache line
}

// counted is what a shard has counted in one minute.
type counted struct {
	minute int64
	cells  map[key]*row
}

// Record counts a call that ended at now. It never waits for the store. A call from up to two
// minutes before the newest one may be counted in the minute of that one.
func (u *Usage) Record(now time.Time, c Call) {
	k := key{cmp.Or(c.Tenant, jobs.DefaultTenant), series{consumer: c.Consumer, api: c.API, version: c.Version, route: c.Route, model: c.Model}}
	if c.Status >= 100 && c.Status <= 999 {
		k.status = uint16(c.Status)
	}
	bucket := bucketOf(c.Took)
	s := &u.shards[(maphash.String(u.seed, c.Consumer)+2*maphash.String(u.seed, c.Route))%shardCount]

	s.mu.Lock()
	defer s.mu.Unlock()
	s.turnLocked(now.Unix() / 60)
	r := s.cells[k]
	if r == nil {
		k = u.admitted.admit(s.minute/60, k)
		if r = s.cells[k]; r == nil {
			r = &row{}
			s.cells[k] = r
		}
	}
	r.in, r.out, r.cost = sum(r.in, max(c.In, 0)), sum(r.out, max(c.Out, 0)), sum(r.cost, max(c.Cost, 0))
	r.bins = r.bins.add(bucket, 1)
}

// turnLocked begins to count another minute, unless it is one that has just ended.
func (s *shard) turnLocked(minute int64) {
	if s.cells == nil {
		s.cells = map[key]*row{}
		s.minute = minute
	}
	if minute == s.minute || minute < s.minute && s.minute-minute <= lateness || len(s.closed) >= maxClosed {
		return
	}
	if len(s.cells) > 0 {
		s.closed = append(s.closed, counted{s.minute, s.cells})
		s.cells = make(map[key]*row, len(s.cells))
	}
	s.minute = minute
}

// take returns what was counted since it was last called, the oldest first.
func (s *shard) take() []counted {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := s.closed
	s.closed = nil
	if len(s.cells) > 0 {
		all = append(all, counted{s.minute, s.cells})
		s.cells = make(map[key]*row, len(s.cells))
	}
	return all
}
