package hub

import (
	"slices"
	"sort"
	"sync"
	"time"
)

const (
	maxPending = 256 << 10 // bytes of pending events; more are cut into chunks without a waker
	shardSize  = 512       // cursors that a waker wakes in one go
)

// stream holds the chunks of the events that a subscription selects, for all cursors with
// that subscription: its members. A cursor with several subscriptions has a stream of its
// own.
//
//	notify → pending → (at once, or at the pace) chunks → wakeMembers → TryNext of each member
//
// Chunks are cut no faster than the members can be woken: what is committed meanwhile is the
// next chunk, however many members there are.
type stream struct {
	hub       *Hub
	key       Subscription // of a shared stream
	shared    bool
	selection *selection // changed only if not shared, and under both locks

	mu             sync.Mutex // protects the fields below and the places of the members; locked after Hub.mu
	lastHeard      uint64     // the last event
	pending        []*Event   // selected and not yet in a chunk
	size           int        // bytes of pending
	urgent         bool       // pending has more than progress and output
	dirty          bool       // is in Hub.dirty
	progressSentAt time.Time  // when progress or output was last cut into a chunk
	timer          *time.Timer
	timerSet       bool // the timer is set

	chunks      []*Chunk // those that some joined member was not given yet
	first       uint64   // the number of chunks[0]
	base        uint64   // the position before chunks[0]
	unannounced bool     // there are chunks for which the members were not woken yet
	bytes       int      // of chunks
	seq         uint64   // all selected events up to here are or were in chunks
	joined      int      // number of members that have a place among the chunks

	shards    []*shard
	uncut     bool // the shards are queued; the first waker cuts pending into chunks
	wakesLeft int  // shards whose members are still to be woken
}

// shard is a part of the members of a stream. Its slice is replaced, never changed.
type shard struct {
	stream  *stream
	members []*Cursor
}

// notify adds a committed event. Hub.mu is held.
func (f *stream) notify(e *Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lastHeard == e.Seq { // selected by several subscriptions
		return
	}
	f.lastHeard = e.Seq
	if !f.selection.selects(e.Event) {
		return
	}
	f.pending = append(f.pending, e)
	f.size += e.Size()
	f.urgent = f.urgent || e.Type.Lasting()
	if !f.dirty {
		f.dirty = true
		f.hub.dirty = append(f.hub.dirty, f)
	}
	if f.size > maxPending {
		f.cutLocked()
	}
}

// wakeIfDueLocked queues the shards for the wakers if there are events for the members and
// the pace allows it; otherwise it sets the timer.
func (f *stream) wakeIfDueLocked(now time.Time) {
	if f.wakesLeft > 0 || (len(f.pending) == 0 && !f.unannounced) {
		return
	}
	if rest := f.progressSentAt.Add(f.hub.pace).Sub(now); rest > 0 && !f.urgent && !f.unannounced {
		if !f.timerSet {
			f.timerSet = true
			if f.timer == nil {
				f.timer = time.AfterFunc(rest, f.onTimer)
			} else {
				f.timer.Reset(rest)
			}
		}
		return
	}
	f.uncut, f.wakesLeft = true, len(f.shards)
	f.hub.wakers.add(f.shards)
}

func (f *stream) onTimer() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.timerSet = false
	f.wakeIfDueLocked(time.Now())
}

// wakeMembers wakes the members of a shard.
func (s *shard) wakeMembers() {
	f := s.stream
	f.mu.Lock()
	if f.uncut {
		f.cutLocked()
		f.uncut, f.unannounced = false, false
	}
	members := s.members
	f.mu.Unlock()
	for _, c := range members {
		c.wake()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wakesLeft--
	f.wakeIfDueLocked(time.Now())
}

// cutLocked cuts the pending events into chunks.
func (f *stream) cutLocked() {
	if len(f.pending) == 0 {
		return
	}
	to := f.pending[len(f.pending)-1].Seq
	for _, e := range f.pending {
		if !e.Type.Lasting() {
			f.progressSentAt = time.Now()
			break
		}
	}
	events := f.selection.mergeProgress(f.pending)
	f.hub.Stats.Merged.Add(int64(len(f.pending) - len(events)))
	f.pending, f.size, f.urgent, f.seq, f.unannounced = nil, 0, false, to, true
	if f.joined == 0 { // then nobody needs the chunks
		f.base = to
		return
	}
	before := len(f.chunks)
	f.chunks = appendChunks(f.chunks, events, to)
	for _, chunk := range f.chunks[before:] {
		chunk.undelivered = f.joined
		f.bytes += chunk.size
	}
	f.hub.Stats.Chunks.Add(int64(len(f.chunks) - before))
	drop, keep := 0, min(maxChunk*f.joined, 16*maxChunk)
	for bytes := f.bytes; bytes > keep && drop < len(f.chunks)-1; drop++ {
		bytes -= f.chunks[drop].size
	}
	f.dropLocked(drop)
}

// dropLocked drops the n oldest chunks.
func (f *stream) dropLocked(n int) {
	for _, chunk := range f.chunks[:n] {
		f.bytes -= chunk.size
		f.base = chunk.To
	}
	clear(f.chunks[:n])
	f.first += uint64(n)
	if f.chunks = f.chunks[n:]; len(f.chunks) == 0 {
		f.chunks = nil
	}
}

// resetLocked drops all events up to seq: the members read them from the log.
func (f *stream) resetLocked(seq uint64) {
	f.pending, f.size, f.urgent = nil, 0, false
	f.dropLocked(len(f.chunks))
	f.first++ // so that no member's place is still valid
	f.seq, f.base, f.unannounced = seq, seq, true
}

// nextLocked returns a member's next chunk, nil if there is none. behind says that the member
// has no place among the chunks.
func (f *stream) nextLocked(c *Cursor) (chunk *Chunk, behind bool) {
	if c.behind && !f.joinLocked(c) {
		return nil, true
	}
	if c.at < f.first {
		f.unjoinLocked(c)
		return nil, true
	}
	i := int(c.at - f.first)
	if i == len(f.chunks) {
		return nil, false
	}
	chunk = f.chunks[i]
	c.at++
	c.seq.Store(chunk.To)
	chunk.undelivered--
	f.trimLocked()
	return chunk, false
}

// trimLocked drops the chunks that all joined members were given.
func (f *stream) trimLocked() {
	n := 0
	for n < len(f.chunks) && f.chunks[n].undelivered == 0 {
		n++
	}
	if n > 0 {
		f.dropLocked(n)
	}
}

// joinLocked gives a member that is behind a place among the chunks, if its position is at
// the beginning or the end of one.
func (f *stream) joinLocked(c *Cursor) bool {
	seq := c.seq.Load()
	i := sort.Search(len(f.chunks), func(i int) bool { return f.chunks[i].Events[0].Seq > seq })
	before := f.base
	if i > 0 {
		before = f.chunks[i-1].To
	}
	if before > seq || (i == len(f.chunks) && len(f.pending) > 0 && f.pending[0].Seq <= seq) {
		return false
	}
	c.behind, c.at = false, f.first+uint64(i)
	f.joined++
	for _, chunk := range f.chunks[i:] {
		chunk.undelivered++
	}
	return true
}

// unjoinLocked takes a member's place among the chunks away.
func (f *stream) unjoinLocked(c *Cursor) {
	c.behind = true
	f.joined--
	for _, chunk := range f.chunks[max(c.at, f.first)-f.first:] {
		chunk.undelivered--
	}
	f.trimLocked()
}

// joinPointLocked returns a position at which a member that is behind can join.
func (f *stream) joinPointLocked(seq uint64) uint64 {
	if len(f.pending) > 0 && f.pending[0].Seq <= seq {
		f.cutLocked()
		f.wakeIfDueLocked(time.Now())
	}
	return f.seq
}

func (f *stream) addLocked(c *Cursor) {
	c.behind = true
	defer f.joinLocked(c) // if it can't join, it reads the log first
	for _, s := range f.shards {
		if len(s.members) < shardSize {
			s.members = append(s.members[:len(s.members):len(s.members)], c)
			c.shard = s
			return
		}
	}
	c.shard = &shard{stream: f, members: []*Cursor{c}}
	f.shards = append(f.shards[:len(f.shards):len(f.shards)], c.shard)
	if f.uncut { // the other shards are queued already, and this one needs the chunks, too
		f.wakesLeft++
		f.hub.wakers.add(f.shards[len(f.shards)-1:])
	}
}

func (f *stream) removeLocked(c *Cursor) {
	if !c.behind {
		f.unjoinLocked(c)
	}
	s := c.shard
	c.shard = nil
	members := slices.DeleteFunc(slices.Clone(s.members), func(m *Cursor) bool { return m == c })
	if s.members = members; len(members) == 0 {
		f.shards = slices.DeleteFunc(slices.Clone(f.shards), func(o *shard) bool { return o == s })
	}
}
