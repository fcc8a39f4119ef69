package upgrade

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const bufferSize = 4 << 10 // of one direction

// direction passes the frames of one side to the other.
type direction struct {
	from       io.Reader
	to         io.Writer
	masked     bool  // its frames must be; only those of clients are
	maxMessage int64 // 0 for no limit
	bytes      *atomic.Int64

	active  atomic.Int64 // when bytes last came or went, in Unix nanoseconds
	blocked atomic.Int64 // since when a write is under way, likewise; 0 if none is
	over    atomic.Bool  // the side that sends has sent its close frame

	mu      sync.Mutex // protects the fields below, and writes
	left    int64      // bytes of the present frame that are to come; 0 between frames
	final   bool       // the present frame is a close frame
	message int64      // bytes of the present message
	closing []byte     // a close frame of the hub to be written between two frames
	closed  bool       // a close frame was written
}

// violation is the error of a side that breaks the protocol or a limit.
type violation struct {
	code   uint16
	reason string
}

func (v *violation) Error() string { return v.reason }

var (
	errHeader  = &violation{protocolError, "malformed frame"}
	errMask    = &violation{protocolError, "wrong masking"}
	errMessage = &violation{tooBig, "message too large"}
)

// run passes frames until the side that sends ends, fails or has sent a close frame (nil). first
// is what was read from it before.
func (d *direction) run(first []byte) error {
	buf := make([]byte, bufferSize)
	for len(first) > 0 {
		n := copy(buf, first)
		used, err := d.forward(buf[:n])
		if err != nil {
			return err
		}
		if d.over.Load() {
			return nil
		}
		if used == 0 { // the beginning of a header
			break
		}
		first = first[used:]
	}
	have := copy(buf, first)
	for {
		n, err := d.from.Read(buf[have:])
		if n > 0 {
			d.active.Store(time.Now().UnixNano())
			have += n
			used, err := d.forward(buf[:have])
			if err != nil {
				return err
			}
			if d.over.Load() {
				return nil
			}
			have = copy(buf, buf[used:have])
		}
		if err != nil {
			return err
		}
	}
}

// forward writes what of b can be written: all but the beginning of a header that is not
// complete. It returns the number of bytes that were used.
func (d *direction) forward(b []byte) (used int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for used < len(b) && err == nil && !d.over.Load() {
		start := used
		for used < len(b) {
			if d.left == 0 {
				if d.closing != nil && !d.closed && used > start {
					break
				}
				h, n, valid := parse(b[used:])
				if err = d.checkLocked(h, n, valid); n == 0 || err != nil {
					break
				}
				d.left, d.final = h.length, h.opcode == opClose
				used += n
			}
			n := min(d.left, int64(len(b)-used))
			used += int(n)
			if d.left -= n; d.left == 0 && d.final {
				break
			}
		}
		if failed := d.writeLocked(b[start:used]); failed != nil {
			return used, failed
		}
		if d.final && d.left == 0 {
			d.closed = true
			d.over.Store(true)
			return len(b), nil
		}
		if failed := d.insertLocked(); failed != nil {
			return used, failed
		}
		if used == start {
			break
		}
	}
	return used, err
}

// checkLocked checks the header of a frame, and counts its message.
func (d *direction) checkLocked(h header, n int, valid bool) error {
	switch {
	case !valid:
		return errHeader
	case n == 0:
		return nil
	case h.masked != d.masked:
		return errMask
	case h.control():
		return nil
	}
	if h.opcode != opContinuation {
		d.message = 0
	}
	if d.message += min(h.length, 1<<62); d.message < 0 || d.maxMessage > 0 && d.message > d.maxMessage {
		return errMessage
	}
	return nil
}

// writeLocked writes bytes of frames, unless a close frame was written before.
func (d *direction) writeLocked(b []byte) error {
	if d.closed || len(b) == 0 {
		return nil
	}
	d.blocked.Store(time.Now().UnixNano())
	n, err := d.to.Write(b)
	d.blocked.Store(0)
	d.bytes.Add(int64(n))
	d.active.Store(time.Now().UnixNano())
	return err
}

// insertLocked writes the hub's close frame, if there is one and this is a place for it.
func (d *direction) insertLocked() error {
	if d.closing == nil || d.closed || d.left > 0 {
		return nil
	}
	err := d.writeLocked(d.closing)
	d.closed = true
	return err
}

// close writes a close frame of the hub as soon as the present frame ends. What comes after it
// is dropped. It waits for a write that is under way.
func (d *direction) close(code uint16, reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closing == nil {
		d.closing = closeFrame(code, reason, d.masked)
	}
	d.insertLocked() // an error shows at the next read, too
}
