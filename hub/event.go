package hub

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"jobhub/jobs"
)

// Event is an event together with its JSON, which is made at most once for all readers.
type Event struct {
	*jobs.Event
	epoch  string
	readAt time.Time // when the hub read it: it is durable since just before
	json   atomic.Pointer[[]byte]
}

// JSON is the event as it goes to subscribers, without a newline. Do not write to it.
func (e *Event) JSON() []byte {
	if b := e.json.Load(); b != nil {
		return *b
	}
	b := e.Event.AppendJSON(make([]byte, 0, 256+len(e.Data)), e.epoch)
	e.json.Store(&b)
	return b
}

// maxChunk is how many bytes of JSON a lot holds, unless one event alone has more.
const maxChunk = 64 << 10

// Chunk is events that leave together, and the position behind them. It never changes,
// and all cursors with the same subscription are given the same one.
type Chunk struct {
	Events []*Event
	To     uint64    // all that was selected up to here has been given with this lot
	ReadAt time.Time // when the hub read the first of its events

	size        int // bytes of JSON and separators
	undelivered int // members in step that were not given it; guarded by feed.mu

	encoded [2]struct {
		once  sync.Once
		bytes []byte
	}
}

// Size is the length of its events' JSON with a separator each.
func (l *Chunk) Size() int { return l.size }

// Encoding is a form in which lots are sent.
type Encoding int

// The encodings of lots, each made at most once.
const (
	WebSocketFrames  Encoding = iota // WebSocket
	ServerSentEvents                 // server-sent events
)

// Encoded returns the lot in an encoding, which build makes when it is first asked for.
// Do not write to it.
func (l *Chunk) Encoded(as Encoding, build func(*Chunk) []byte) []byte {
	e := &l.encoded[as]
	e.once.Do(func() { e.bytes = build(l) })
	return e.bytes
}

// appendChunks makes lots of events; the position behind the last one is to.
func appendChunks(chunks []*Chunk, events []*Event, to uint64) []*Chunk {
	for len(events) > 0 {
		n, size := 0, 0
		for n < len(events) && (n == 0 || size+len(events[n].JSON()) < maxChunk) {
			size += len(events[n].JSON()) + 1
			n++
		}
		chunk := &Chunk{Events: events[:n:n], To: events[n-1].Seq, ReadAt: events[0].readAt, size: size}
		if events = events[n:]; len(events) == 0 {
			chunk.To = to
		}
		chunks = append(chunks, chunk)
	}
	return chunks
}

// readSelected reads the next lot behind seq, up to a position that the hub has reached.
// The lot may be without events. jobs.ErrTrimmed if the log no longer holds them.
func (h *Hub) readSelected(ctx context.Context, s *selection, seq, upTo uint64) (*Chunk, error) {
	var events []*Event
	size, to := 0, seq
	for to < upTo && size < maxChunk {
		some, reached, err := h.readAfter(ctx, s.job(), to, upTo)
		if err != nil {
			return nil, err
		}
		to = reached
		for _, e := range some {
			if !s.selects(e.Event) {
				continue
			}
			if n := len(e.JSON()) + 1; size > 0 && size+n > maxChunk {
				to = events[len(events)-1].Seq
				size = maxChunk
				break
			} else {
				size += n
			}
			events = append(events, e)
		}
	}
	if events = s.mergeProgress(events); len(events) == 0 {
		return &Chunk{To: to}, nil
	}
	return &Chunk{Events: events, To: to, ReadAt: events[0].readAt, size: size}, nil
}

// readAfter returns some events behind seq and up to upTo, which the hub must have reached,
// and the position reached with them: from the ring, or from the log behind it. With a
// job, others may be left out.
func (h *Hub) readAfter(ctx context.Context, job jobs.ID, seq, upTo uint64) ([]*Event, uint64, error) {
	h.mu.RLock()
	if len(h.ring) > 0 && seq+1 >= h.ring[0].Seq {
		const most = 1024 // so that the lock is not held for long
		first := h.ring[0].Seq
		from := min(seq+1-first, uint64(len(h.ring)))
		to := min(upTo+1-first, uint64(len(h.ring)), from+most)
		some := append([]*Event(nil), h.ring[from:max(from, to)]...)
		h.mu.RUnlock()
		if len(some) == 0 {
			return nil, upTo, nil
		}
		return some, some[len(some)-1].Seq, nil
	}
	h.mu.RUnlock()
	var read []*jobs.Event
	var err error
	if job != (jobs.ID{}) { // the log finds the events of one job without looking at others
		if _, err := h.source.Read(ctx, jobs.ReadQuery{After: seq, MaxBytes: 1}); err != nil {
			return nil, 0, err
		}
		read, err = h.source.Read(ctx, jobs.ReadQuery{After: seq, Job: job, MaxBytes: 4 << 20})
	}
	if job == (jobs.ID{}) || errors.Is(err, jobs.ErrNotFound) { // past its retention, it has left events behind
		read, err = h.source.Read(ctx, jobs.ReadQuery{After: seq, MaxBytes: 256 << 10})
	}
	if err != nil {
		return nil, 0, err
	}
	epoch := h.source.Head().Epoch
	some := make([]*Event, 0, len(read))
	for _, e := range read {
		if e.Seq > upTo {
			return some, upTo, nil
		}
		some = append(some, &Event{Event: e, epoch: epoch})
	}
	if len(some) == 0 {
		return nil, upTo, nil
	}
	return some, some[len(some)-1].Seq, nil
}
