package limit

import "time"

// rate is n requests in each window of per nanoseconds. A caller's window begins with its first
// request after the window before: no clock that all share makes callers come at once.
type rate struct {
	n   uint32
	per int64
}

// cell is the state of a rate for one caller. The zero cell is fresh.
type cell struct {
	end  int64  // of the window, in nanoseconds since the limiter's start
	used uint32 // requests in it
}

func newRate(n int, per time.Duration) rate { return rate{uint32(n), int64(per)} }

// fresh reports whether nothing is used at now.
func (c cell) fresh(now int64) bool { return c.end <= now || c.used == 0 }

// look returns how many requests may pass at now, and after how long it will be all of them.
func (r rate) look(c cell, now int64) (left int64, next time.Duration) {
	if c.fresh(now) {
		return int64(r.n), time.Duration(r.per)
	}
	return int64(r.n) - int64(c.used), time.Duration(c.end - now)
}

// take returns the cell after one more request, which look must have allowed.
func (r rate) take(c cell, now int64) cell {
	if c.fresh(now) {
		return cell{now + r.per, 1}
	}
	return cell{c.end, c.used + 1}
}
