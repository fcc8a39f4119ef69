package web

import (
	"context"
	"encoding/binary"
	"errors"
	"strconv"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"jobhub/hub"
	"jobhub/jobs"
)

// This file sends. A connection is locked by whoever does: see socket.

// framer gathers objects for one frame. It is the outlet of a socket.
type framer struct {
	*socket
	gathered []byte // begins with room for a frame's header
}

// room is what frames are gathered in. Idle connections hold none.
var room = sync.Pool{New: func() any { b := make([]byte, maxHead, 4<<10); return &b }}

func (f *framer) line(object []byte, _ uint64) {
	if len(f.gathered) == 0 {
		f.gathered = (*room.Get().(*[]byte))[:maxHead]
	} else {
		f.gathered = append(f.gathered, '\n')
	}
	f.gathered = append(f.gathered, object...)
}

func (f *framer) full() bool { return len(f.gathered) >= maxFrame }

// flush sends what was gathered. The connection is locked.
func (f *framer) flush() error {
	if len(f.gathered) == 0 {
		return nil
	}
	err := f.send(framed(f.gathered))
	if cap(f.gathered) <= 2*maxFrame {
		b := f.gathered
		room.Put(&b)
	}
	f.gathered = nil
	return err
}

// lot sends what was gathered, and then events. The connection is locked.
func (f *framer) lot(lot *hub.Lot) error {
	if err := f.flush(); err != nil {
		return err
	}
	f.Live.sent(lot)
	return f.send(lot.Encoded(hub.Frames, frameOf))
}

// frameOf is a frame with the events of a lot.
func frameOf(lot *hub.Lot) []byte {
	size := len(lot.Events) - 1
	for _, e := range lot.Events {
		size += len(e.JSON())
	}
	b := appendFrameHead(make([]byte, 0, maxHead+size), opText, size)
	for i, e := range lot.Events {
		if i > 0 {
			b = append(b, '\n')
		}
		b = append(b, e.JSON()...)
	}
	return b
}

// send sends a frame with data, and waits as long as the client takes some now and
// then. The connection is locked.
func (c *socket) send(frame []byte) error {
	if c.closing {
		return errGone
	}
	c.sent.Store(time.Now().UnixNano())
	var err error
	if c.library {
		c.wire.data.Store(true)
		err = c.conn.Write(context.Background(), websocket.MessageText, payload(frame))
		c.wire.data.Store(false)
	} else {
		err = c.wire.send(frame)
	}
	if errors.Is(err, errStalled) {
		c.Live.closed(statusStalled)
		c.Logger.Info("a WebSocket client takes nothing and is closed", "conn", c.id, "remote", c.remote)
	}
	if err != nil {
		c.cut()
		return errGone
	}
	return nil
}

// cut ends a connection without a word. The connection is locked.
func (c *socket) cut() {
	c.closing = true
	c.wire.Close() // the goroutine that reads sees to the rest
}

// wake is called when the hub has something for the connection, and does not wait.
func (c *socket) wake() {
	c.due.Store(true) // whoever holds the connection looks again when letting it go
	if c.mu.TryLock() && c.give() {
		c.unlock()
	}
}

// unlock lets the connection go, after what came due meanwhile was given.
func (c *socket) unlock() {
	for {
		c.mu.Unlock()
		if !c.due.Load() || !c.mu.TryLock() || !c.give() {
			return
		}
	}
}

// locked runs f with the connection locked.
func (c *socket) locked(f func() error) error {
	c.mu.Lock()
	defer c.unlock()
	return f()
}

// give sends what is due as far as that needs no waiting. The connection is locked;
// false if it stays so, for a goroutine that goes on.
func (c *socket) give() bool {
	c.due.Store(false)
	for !c.closing {
		if c.library {
			go c.keepUp(nil)
			return false
		}
		lot, behind := c.cursor.Step()
		if behind {
			go c.keepUp(nil)
			return false
		}
		var frame []byte
		if lot != nil {
			frame = lot.Encoded(hub.Frames, frameOf)
		} else if frame = c.patch(); frame == nil {
			return true
		}
		n, err := c.wire.try(frame)
		if err != nil {
			c.cut()
			return true
		}
		if c.sent.Store(time.Now().UnixNano()); lot != nil {
			c.Live.sent(lot)
		}
		if n < len(frame) {
			go c.keepUp(frame[n:])
			return false
		}
	}
	return true
}

// keepUp sends what is due, and waits for the client as long as need be. It is given
// the rest of a frame, and the connection locked.
func (c *socket) keepUp(rest []byte) {
	defer c.unlock()
	if rest != nil && c.send(rest) != nil {
		return
	}
	for !c.closing {
		lot, err := c.cursor.Next(c.stopped)
		switch {
		case errors.Is(err, jobs.ErrTrimmed):
			if err = c.gap(c.stopped); err == nil {
				err = c.replies.flush()
			}
		case err != nil:
		case lot != nil:
			err = c.replies.lot(lot)
		default:
			frame := c.patch()
			if frame == nil {
				return
			}
			err = c.send(frame)
		}
		if err != nil {
			c.broken(err)
			return
		}
	}
}

// broken ends a connection after an error that is not the client's. It is locked.
func (c *socket) broken(err error) {
	if !errors.Is(err, errGone) && c.stopped.Err() == nil {
		c.Logger.Error("a WebSocket connection failed", "error", err)
		c.closeLocked(websocket.StatusInternalError, "internal error")
	}
}

// patch is a frame with what changed of the view, nil if nothing did.
func (c *socket) patch() []byte {
	if c.viewer == nil {
		return nil
	}
	p, _ := c.viewer.Next()
	if p == nil || len(p.Fragments) == 0 {
		return nil
	}
	return p.Encoded(c.viewID, func(p *hub.Patch) []byte {
		return framed(appendPatch(make([]byte, maxHead), c.viewID, p.Seq, p.Fragments))
	})
}

// pong answers a ping frame, in place of the library, which would do so in the middle
// of a frame of ours and give up after 5 s.
func (c *socket) pong(_ context.Context, data []byte) bool {
	c.locked(func() error {
		if c.closing {
			return nil
		}
		return c.wire.send(append(appendFrameHead(nil, opPong, len(data)), data...))
	})
	return false
}

// control sends a control frame of the library's: its answer to a close frame.
func (c *socket) control(frame []byte) {
	code, reason := websocket.StatusNoStatusRcvd, ""
	if len(frame) >= 4 {
		code, reason = websocket.StatusCode(binary.BigEndian.Uint16(frame[2:])), string(frame[4:])
	}
	if !utf8.ValidString(reason) { // RFC 6455 section 5.5.1
		code, reason = websocket.StatusInvalidFramePayloadData, ""
	}
	c.close(code, reason)
}

// close says goodbye. The goroutine that reads waits for the other side's.
func (c *socket) close(code websocket.StatusCode, reason string) {
	c.mu.Lock()
	defer c.unlock()
	c.closeLocked(code, reason)
}

func (c *socket) closeLocked(code websocket.StatusCode, reason string) {
	if c.closing {
		return
	}
	c.closing = true
	c.Live.closed(code)
	frame := closeFrame(code, reason)
	if code == websocket.StatusNoStatusRcvd {
		frame = appendFrameHead(nil, opClose, 0)
	}
	if c.wire.send(frame) == nil {
		c.wire.endWrites(closePatience)
	} else {
		c.wire.Close()
	}
}

// goAway tells the client to come back later.
func (c *socket) goAway(after time.Duration) {
	c.mu.Lock()
	defer c.unlock()
	b := append(make([]byte, maxHead, 64), `{"type":"reconnect","after_ms":`...)
	b = strconv.AppendInt(b, after.Milliseconds(), 10)
	if c.send(framed(append(b, '}'))) == nil {
		c.closeLocked(websocket.StatusServiceRestart, "the hub restarts")
	}
}
