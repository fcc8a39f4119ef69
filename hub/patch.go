package hub

import (
	"sync"
	"time"
)

// Patch is the fragments that bring a view up to date. Viewers that need the same get the
// same patch.
type Patch struct {
	Fragments []Fragment
	Seq       uint64    // the position they show
	At        time.Time // when they were read

	stats  *Stats
	mu     sync.Mutex        // protects frames
	frames map[string][]byte // by key, the first maxFrames
}

// maxFrames is how many encodings of one patch are kept.
const maxFrames = 8

// Encoded returns an encoding of the patch, which is built once for each key.
func (p *Patch) Encoded(key string, build func(*Patch) []byte) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b, ok := p.frames[key]; ok {
		return b
	}
	b := build(p)
	p.stats.Encoded.Add(1)
	if p.frames == nil {
		p.frames = map[string][]byte{}
	}
	if len(p.frames) < maxFrames {
		p.frames[key] = b
	}
	return b
}
