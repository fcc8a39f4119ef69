package limit

import (
	"math/bits"
	"time"
)

// rate is n requests in per nanoseconds, by GCRA (the generic cell rate algorithm). A request
// takes per/n nanoseconds, which is kept as a fraction, so that nothing is ever rounded.
type rate struct {
	n, per     uint64
	step, rest uint64 // per/n = step + rest/n
}

// cell is the state of a rate for one caller: the moment at which nothing is used any more, as
// at + part/n nanoseconds since the limiter's start. The zero cell is fresh.
type cell struct {
	at   int64
	part uint32
}

func newRate(n int, per time.Duration) rate {
	r := rate{n: uint64(n), per: uint64(per)}
	r.step, r.rest = r.per/r.n, r.per%r.n
	return r
}

// fresh reports whether nothing is used at now.
func (c cell) fresh(now int64) bool { return c.at < now || c.at == now && c.part == 0 }

// used returns how much of per is used at now: ns + part/n nanoseconds, at most per.
func (r rate) used(c cell, now int64) (ns, part uint64) {
	if c.fresh(now) {
		return 0, 0
	}
	ns = uint64(c.at - now)
	if ns >= r.per {
		return r.per, 0
	}
	return ns, uint64(c.part)
}

// look returns how many requests may pass at now, and after how long, rounded up, it will be
// one more. With all left that is the time that one request takes.
func (r rate) look(c cell, now int64) (left int64, next time.Duration) {
	ns, part := r.used(c, now)
	high, low := bits.Mul64(r.per-ns, r.n)
	low, borrow := bits.Sub64(low, part, 0)
	whole, over := bits.Div64(high-borrow, low, r.per) // high < per, as n < 2^64
	return int64(whole), time.Duration((r.per - over + r.n - 1) / r.n)
}

// take returns the cell after one more request, which look must have allowed.
func (r rate) take(c cell, now int64) cell {
	ns, part := r.used(c, now)
	ns, part = ns+r.step, part+r.rest
	if part >= r.n {
		ns, part = ns+1, part-r.n
	}
	return cell{at: now + int64(ns), part: uint32(part)}
}
