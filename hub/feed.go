package hub

import (
	"slices"
	"sort"
	"sync"
	"time"
)

const (
	maxPending = 256 << 10 // bytes of events that wait for a worker before they are encoded without one
	shardSize  = 512       // cursors that one worker wakes in one go
)

// feed is what cursors with the same subscription share: the lots of what it selects.
// A cursor with several subscriptions has a feed of its own.
//
//	hear ─ pending ─(due: at once, or in step with pace)→ lots → sweep → each member's wake → Step
//
// The lots are cut no faster than the members can be woken: what is committed while
// they are woken is the next lot, however many members there are.
type feed struct {
	hub    *Hub
	key    Subscription // of a shared feed
	shared bool
	wants  *selection // of a feed that is not shared, changed under both locks

	mu      sync.Mutex // protects the fields below and the places of the members; taken after Hub.mu
	heard   uint64     // the last event
	pending []*Event   // selected and not yet in a lot
	size    int        // bytes of pending
	urgent  bool       // there is more than progress and output in pending
	touched bool       // stands in Hub.touched
	paced   time.Time  // when progress or output left last
	timer   *time.Timer
	timing  bool // the timer is set

	lots   []*Lot // those that a member in step is still to be given
	first  uint64 // the number of lots[0]
	base   uint64 // the position before lots[0]
	fresh  bool   // lots were cut that the members have not been woken for
	bytes  int    // of lots
	seq    uint64 // all that was selected up to here is in lots, or was
	inStep int    // members whose place is among the lots

	shards   []*shard
	unbuilt  bool // the shards are queued and pending is still to be cut into lots
	sweeping int  // shards that are still to be woken
}

// shard is some members of a feed. Its slice is replaced, never changed.
type shard struct {
	feed    *feed
	members []*Cursor
}

// hear takes in an event that was committed. Hub.mu is held.
func (f *feed) hear(e *Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.heard == e.Seq { // selected by several subscriptions
		return
	}
	f.heard = e.Seq
	if !f.wants.selects(e.Event) {
		return
	}
	f.pending = append(f.pending, e)
	f.size += e.Size()
	f.urgent = f.urgent || e.Type.Lasting()
	if !f.touched {
		f.touched = true
		f.hub.touched = append(f.hub.touched, f)
	}
	if f.size > maxPending {
		f.buildLocked()
	}
}

// dueLocked has the members woken if there is something for them and it is time.
func (f *feed) dueLocked(now time.Time) {
	if f.sweeping > 0 || (len(f.pending) == 0 && !f.fresh) {
		return
	}
	if rest := f.paced.Add(f.hub.pace).Sub(now); rest > 0 && !f.urgent && !f.fresh {
		if !f.timing {
			f.timing = true
			if f.timer == nil {
				f.timer = time.AfterFunc(rest, f.later)
			} else {
				f.timer.Reset(rest)
			}
		}
		return
	}
	f.unbuilt, f.sweeping = true, len(f.shards)
	f.hub.workers.add(f.shards)
}

func (f *feed) later() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.timing = false
	f.dueLocked(time.Now())
}

// sweep wakes the members of a shard.
func (s *shard) sweep() {
	f := s.feed
	f.mu.Lock()
	if f.unbuilt {
		f.buildLocked()
		f.unbuilt, f.fresh = false, false
	}
	members := s.members
	f.mu.Unlock()
	for _, c := range members {
		c.wake()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sweeping--
	f.dueLocked(time.Now())
}

// buildLocked cuts what is pending into lots.
func (f *feed) buildLocked() {
	if len(f.pending) == 0 {
		return
	}
	to := f.pending[len(f.pending)-1].Seq
	for _, e := range f.pending {
		if !e.Type.Lasting() {
			f.paced = time.Now()
			break
		}
	}
	events := f.wants.latest(f.pending)
	f.hub.Stats.Merged.Add(int64(len(f.pending) - len(events)))
	f.pending, f.size, f.urgent, f.seq, f.fresh = nil, 0, false, to, true
	if f.inStep == 0 { // then there are no lots
		f.base = to
		return
	}
	before := len(f.lots)
	f.lots = appendLots(f.lots, events, to)
	for _, lot := range f.lots[before:] {
		lot.due = f.inStep
		f.bytes += lot.size
	}
	f.hub.Stats.Lots.Add(int64(len(f.lots) - before))
	drop, keep := 0, min(maxLot*f.inStep, 16*maxLot)
	for bytes := f.bytes; bytes > keep && drop < len(f.lots)-1; drop++ {
		bytes -= f.lots[drop].size
	}
	f.forgetLocked(drop)
}

// forgetLocked drops the n oldest lots.
func (f *feed) forgetLocked(n int) {
	for _, lot := range f.lots[:n] {
		f.bytes -= lot.size
		f.base = lot.To
	}
	clear(f.lots[:n])
	f.first += uint64(n)
	if f.lots = f.lots[n:]; len(f.lots) == 0 {
		f.lots = nil
	}
}

// resetLocked forgets everything: the members find out from the log what they missed
// up to seq.
func (f *feed) resetLocked(seq uint64) {
	f.pending, f.size, f.urgent = nil, 0, false
	f.forgetLocked(len(f.lots))
	f.first++ // so that nobody's place is behind the last lot
	f.seq, f.base, f.fresh = seq, seq, true
}

// stepLocked gives a member its next lot, nil if it has been given all. behind says
// that its place is not among the lots.
func (f *feed) stepLocked(c *Cursor) (lot *Lot, behind bool) {
	if c.behind && !f.joinLocked(c) {
		return nil, true
	}
	if c.at < f.first {
		f.partLocked(c)
		return nil, true
	}
	i := int(c.at - f.first)
	if i == len(f.lots) {
		return nil, false
	}
	lot = f.lots[i]
	c.at++
	c.seq.Store(lot.To)
	lot.due--
	f.trimLocked()
	return lot, false
}

// trimLocked drops the lots that all members in step have been given.
func (f *feed) trimLocked() {
	n := 0
	for n < len(f.lots) && f.lots[n].due == 0 {
		n++
	}
	if n > 0 {
		f.forgetLocked(n)
	}
}

// joinLocked gives a member that is behind a place among the lots, if its position is
// at the beginning or the end of one.
func (f *feed) joinLocked(c *Cursor) bool {
	seq := c.seq.Load()
	i := sort.Search(len(f.lots), func(i int) bool { return f.lots[i].Events[0].Seq > seq })
	before := f.base
	if i > 0 {
		before = f.lots[i-1].To
	}
	if before > seq || (i == len(f.lots) && len(f.pending) > 0 && f.pending[0].Seq <= seq) {
		return false
	}
	c.behind, c.at = false, f.first+uint64(i)
	f.inStep++
	for _, lot := range f.lots[i:] {
		lot.due++
	}
	return true
}

// partLocked takes a member's place among the lots away.
func (f *feed) partLocked(c *Cursor) {
	c.behind = true
	f.inStep--
	for _, lot := range f.lots[max(c.at, f.first)-f.first:] {
		lot.due--
	}
	f.trimLocked()
}

// reachLocked returns a position at which a member behind can join.
func (f *feed) reachLocked(seq uint64) uint64 {
	if len(f.pending) > 0 && f.pending[0].Seq <= seq {
		f.buildLocked()
		f.dueLocked(time.Now())
	}
	return f.seq
}

func (f *feed) addLocked(c *Cursor) {
	c.behind = true
	defer f.joinLocked(c) // or else its owner reads the log first
	for _, s := range f.shards {
		if len(s.members) < shardSize {
			s.members = append(s.members[:len(s.members):len(s.members)], c)
			c.shard = s
			return
		}
	}
	c.shard = &shard{feed: f, members: []*Cursor{c}}
	f.shards = append(f.shards[:len(f.shards):len(f.shards)], c.shard)
	if f.unbuilt { // the others are queued already, and what they cut concerns this one, too
		f.sweeping++
		f.hub.workers.add(f.shards[len(f.shards)-1:])
	}
}

func (f *feed) removeLocked(c *Cursor) {
	if !c.behind {
		f.partLocked(c)
	}
	s := c.shard
	c.shard = nil
	members := slices.DeleteFunc(slices.Clone(s.members), func(m *Cursor) bool { return m == c })
	if s.members = members; len(members) == 0 {
		f.shards = slices.DeleteFunc(slices.Clone(f.shards), func(o *shard) bool { return o == s })
	}
}
