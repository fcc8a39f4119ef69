package hub

import (
	"sync"
	"time"
)

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
