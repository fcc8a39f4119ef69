package upstream

import "time"

// Breaker says when a member that fails gets no requests for some time.
type Breaker struct {
	Failures int           // that open it; 0 for never
	Window   time.Duration // in which they happen; DefaultWindow if 0
	Open     time.Duration // until the first probe; DefaultOpen if 0
}

// Defaults of a Breaker.
const (
	DefaultWindow = 10 * time.Second
	DefaultOpen   = 5 * time.Second
)

func (b *Breaker) enabled() bool { return b.Failures > 0 }

// BreakerState is the state of a member's breaker.
type BreakerState uint8

const (
	Closed   BreakerState = iota // requests pass
	Open                         // none passes
	HalfOpen                     // one at a time passes, as a probe
)

var breakerNames = []string{Closed: "closed", Open: "open", HalfOpen: "half_open"}

func (s BreakerState) String() string { return breakerNames[s] }

const (
	slotCount = 10 // of a window: so it is exact to a tenth
	minShare  = 10 // failures open the breaker if they are at least one of so many requests
)

// circuit is the state of a breaker. Its owner protects it.
type circuit struct {
	state   BreakerState
	turn    uint64    // rises with each change of state
	since   time.Time // of state
	until   time.Time // while Open: when a probe may pass
	probing bool      // while HalfOpen: a probe is under way

	inRow int // failures since the last success
	slots [slotCount]struct {
		number        int64 // of the slot's time since 1970
		total, failed int
	}
}

// pass belongs to a request that a circuit let pass.
type pass struct{ turn uint64 }

func (c *circuit) ready(now time.Time) bool {
	return c.state == Closed || c.state == Open && !now.Before(c.until) || c.state == HalfOpen && !c.probing
}

func (c *circuit) acquire(now time.Time) (pass, bool) {
	if !c.ready(now) {
		return pass{}, false
	}
	if c.state == Open {
		c.change(HalfOpen, now)
	}
	c.probing = c.state == HalfOpen
	return pass{c.turn}, true
}

// change begins a state anew.
func (c *circuit) change(to BreakerState, now time.Time) {
	if to != c.state {
		c.since = now
	}
	*c = circuit{state: to, turn: c.turn + 1, since: c.since}
}

// report counts the outcome of a request that was let pass. One from before the last change of
// state says nothing about the member now.
func (c *circuit) report(b *Breaker, p pass, o Outcome, now time.Time) {
	if p.turn != c.turn || !b.enabled() {
		return
	}
	if c.state == HalfOpen {
		switch c.probing = false; o {
		case Success:
			c.change(Closed, now)
		case Failure:
			c.open(b, now)
		}
		return
	}
	if o == Unknown {
		return
	}
	width := max(b.window()/slotCount, 1)
	number := now.UnixNano() / int64(width)
	slot := &c.slots[number%slotCount]
	if slot.number != number {
		slot.number, slot.total, slot.failed = number, 0, 0
	}
	slot.total++
	if o == Success {
		c.inRow = 0
		return
	}
	slot.failed++
	c.inRow++
	var total, failed int
	for _, s := range c.slots {
		if s.number > number-slotCount && s.number <= number {
			total += s.total
			failed += s.failed
		}
	}
	if failed >= b.Failures && (c.inRow >= b.Failures || failed*minShare >= total) {
		c.open(b, now)
	}
}

func (c *circuit) open(b *Breaker, now time.Time) {
	c.change(Open, now)
	c.until = now.Add(b.openTime())
}

func (b *Breaker) window() time.Duration {
	if b.Window > 0 {
		return b.Window
	}
	return DefaultWindow
}

func (b *Breaker) openTime() time.Duration {
	if b.Open > 0 {
		return b.Open
	}
	return DefaultOpen
}
