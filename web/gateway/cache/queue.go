package cache

import (
	"container/list"
	"encoding/binary"
)

// queues decide which entries make room for others: S3-FIFO (Yang et al., SOSP 2023), counted in
// bytes. A new entry goes through a small queue first, a tenth of all. Only if it is used there,
// or comes back soon after it was dropped, it gets into the main queue. So a flood of requests that
// come once does not displace what is used often.
type queues struct {
	limit             int64
	small, main       list.List // of *entry; the front is the newest
	smallSize, inMain int64     // bytes

	dropped map[uint64]int // entries that left the small queue unused, to their place in ring
	ring    []uint64
	next    int
}

const maxDropped = 16 << 10

func (q *queues) bytes() int64 { return q.smallSize + q.inMain }

// idOf names an entry after it was dropped.
func idOf(e *entry) uint64 {
	return binary.LittleEndian.Uint64(e.slot.key[:]) ^ binary.LittleEndian.Uint64(e.variant[:])
}

func (q *queues) add(e *entry) {
	if _, known := q.dropped[idOf(e)]; known {
		q.addMain(e)
	} else {
		e.main, e.at, q.smallSize = false, q.small.PushFront(e), q.smallSize+e.size
	}
}

func (q *queues) addMain(e *entry) {
	e.main, e.at, q.inMain = true, q.main.PushFront(e), q.inMain+e.size
}

func (q *queues) remove(e *entry) {
	if e.main {
		q.main.Remove(e.at)
		q.inMain -= e.size
	} else {
		q.small.Remove(e.at)
		q.smallSize -= e.size
	}
}

// evict takes an entry that makes room out of the queues; nil if there is room.
func (q *queues) evict() *entry {
	for q.bytes() > q.limit {
		if q.small.Len() > 0 && (q.smallSize > q.limit/10 || q.main.Len() == 0) {
			e := q.small.Back().Value.(*entry)
			q.remove(e)
			if e.uses.Swap(0) > 0 {
				q.addMain(e)
				continue
			}
			q.remember(idOf(e))
			return e
		}
		e := q.main.Back().Value.(*entry)
		if n := e.uses.Load(); n > 0 {
			e.uses.Store(n - 1)
			q.main.MoveToFront(e.at)
			continue
		}
		q.remove(e)
		return e
	}
	return nil
}

// remember keeps the id of a dropped entry, as many as there are entries.
func (q *queues) remember(id uint64) {
	if q.dropped == nil {
		q.dropped = map[uint64]int{}
	}
	if _, known := q.dropped[id]; known {
		return
	}
	size := min(max(q.small.Len()+q.main.Len(), 64), maxDropped)
	if len(q.ring) < size {
		q.ring = append(q.ring, id)
		q.dropped[id] = len(q.ring) - 1
		return
	}
	q.next %= len(q.ring)
	if old := q.ring[q.next]; q.dropped[old] == q.next {
		delete(q.dropped, old)
	}
	q.ring[q.next], q.dropped[id] = id, q.next
	q.next++
}

// used counts a use of an entry.
func (e *entry) used() {
	if n := e.uses.Load(); n < 3 {
		e.uses.Store(n + 1)
	}
}
