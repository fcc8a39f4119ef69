package hub

import (
	"sync"
	"time"
)

// maxChunk is how many bytes of JSON a chunk holds, unless one event alone has more.
const maxChunk = 64 << 10

// Chunk is events that are sent together, and the position after them. It never changes, and
// all cursors with the same subscription get the same chunk.
type Chunk struct {
	Events []*Event
	To     uint64    // the position after this chunk: all selected events up to here were given
	ReadAt time.Time // when the hub read the first of its events

	size        int // bytes of JSON and separators
	undelivered int // joined members that were not given it yet; guarded by stream.mu

	encoded [2]struct {
		once  sync.Once
		bytes []byte
	}
}

// Size is the length of its events' JSON with a separator each.
func (l *Chunk) Size() int { return l.size }

// Encoding is a form in which chunks are sent.
type Encoding int

// The encodings of chunks, each made at most once per chunk.
const (
	WebSocketFrames  Encoding = iota // WebSocket
	ServerSentEvents                 // server-sent events
)

// Encoded returns the chunk in an encoding, which build makes at the first call. Do not write
// to the result.
func (l *Chunk) Encoded(as Encoding, build func(*Chunk) []byte) []byte {
	e := &l.encoded[as]
	e.once.Do(func() { e.bytes = build(l) })
	return e.bytes
}

// appendChunks cuts events into chunks; the position after the last one is to.
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
