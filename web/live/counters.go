package live

import (
	"maps"
	"math/bits"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"jobhub/hub"
)

const (
	firstDelay = 50 * time.Microsecond // upper bound of the histogram's first step; each step is twice as wide as the one before
	delaySteps = 18                    // and one more without an upper bound
)

// counters counts what happens on the live connections since the start of the hub.
type counters struct {
	gaps, chunks, events atomic.Int64
	delays               [delaySteps + 1]atomic.Int64
	delaySum             atomic.Int64 // in ns

	opened, closes, resumes tally
}

// tally counts by name.
type tally struct {
	mu     sync.Mutex // protects counts
	counts map[string]int64
}

func (t *tally) add(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]int64{}
	}
	t.counts[name]++
}

func (t *tally) read() map[string]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.counts)
}

// Counts holds the values of the counters at one moment.
type Counts struct {
	Opened  map[string]int64 // connections, by transport
	Closes  map[string]int64 // WebSockets, by code
	Resumes map[string]int64 // subscriptions with a position, by result
	Gaps    int64            // gap messages sent to connections
	Events  int64            // sent
	Delays  []Delay          // from the hub reading an event to handing it to a socket: a histogram

	delaySum time.Duration
}

// Delay counts the delays up to Most and above the step before; Most is 0 for no upper bound.
type Delay struct {
	Most time.Duration
	N    int64
}

// closed counts the end of a WebSocket.
func (c *counters) closed(code websocket.StatusCode) { c.closes.add(strconv.Itoa(int(code))) }

// sent counts a chunk that is handed to a connection.
func (c *counters) sent(chunk *hub.Chunk) {
	c.chunks.Add(1)
	c.events.Add(int64(len(chunk.Events)))
	if chunk.ReadAt.IsZero() {
		return
	}
	took := time.Since(chunk.ReadAt)
	c.delays[delayStep(took)].Add(1)
	c.delaySum.Add(int64(took))
}

// delayStep is the step of the histogram in which a delay is counted.
func delayStep(took time.Duration) int {
	return min(bits.Len64(uint64((max(took, 1)-1)/firstDelay)), delaySteps)
}

// Counts reads the counters.
func (s *Server) Counts() Counts {
	c := &s.counters
	n := Counts{Opened: c.opened.read(), Closes: c.closes.read(), Resumes: c.resumes.read(), Gaps: c.gaps.Load(), Events: c.events.Load(), delaySum: time.Duration(c.delaySum.Load())}
	for i := range c.delays {
		n.Delays = append(n.Delays, Delay{firstDelay << i, c.delays[i].Load()})
	}
	n.Delays[delaySteps].Most = 0
	return n
}
