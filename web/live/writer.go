package live

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/coder/websocket"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/rest"
)

// This file sends to a WebSocket. The sender locks the connection: see socket.

// framer collects objects for one frame. It is the outlet of a socket.
type framer struct {
	*socket
	gathered []byte
}

// frameBuffers is a pool of buffers for frames. Idle connections hold none.
var frameBuffers = sync.Pool{New: func() any { b := make([]byte, 0, 4<<10); return &b }}

func (f *framer) line(object []byte, _ uint64) {
	if len(f.gathered) == 0 {
		f.gathered = (*frameBuffers.Get().(*[]byte))[:0]
	} else {
		f.gathered = append(f.gathered, '\n')
	}
	f.gathered = append(f.gathered, object...)
}

func (f *framer) full() bool { return len(f.gathered) >= rest.MaxFrame }

// flush sends the buffer. The connection is locked.
func (f *framer) flush() error {
	if len(f.gathered) == 0 {
		return nil
	}
	err := f.send(f.gathered)
	if cap(f.gathered) <= 2*rest.MaxFrame {
		b := f.gathered
		frameBuffers.Put(&b)
	}
	f.gathered = nil
	return err
}

// chunk sends the buffer, and then events. The connection is locked.
func (f *framer) chunk(chunk *hub.Chunk) error {
	if err := f.flush(); err != nil {
		return err
	}
	f.counters.sent(chunk)
	return f.send(chunk.Encoded(hub.WebSocketFrames, func(chunk *hub.Chunk) []byte {
		b := make([]byte, 0, chunk.Size())
		for i, e := range chunk.Events {
			if i > 0 {
				b = append(b, '\n')
			}
			b = append(b, e.JSON()...)
		}
		return b
	}))
}

// send sends a frame with data, and waits as long as the client reads some of it now and
// then. The connection is locked.
func (c *socket) send(data []byte) error {
	if c.closing {
		return errGone
	}
	now := time.Now()
	if code, reason := c.lapsed(now); code != 0 {
		c.closeLocked(code, reason)
		return errGone
	}
	c.sent.Store(now.UnixNano())
	err := c.conn.Write(context.Background(), websocket.MessageText, data)
	if errors.Is(err, errStalled) {
		c.counters.closed(statusStalled)
		c.Logger.Debug("a WebSocket client reads nothing and is closed", "conn", c.id, "remote", c.remote)
	}
	if err != nil {
		c.cut()
		return errGone
	}
	return nil
}

// cut closes a connection without a close frame. The connection is locked.
func (c *socket) cut() {
	c.closing = true
	c.wire.Close() // the goroutine that reads does the rest
}

// wake is called when the hub has something for the connection, and does not wait.
func (c *socket) wake() {
	c.due.Store(true) // the holder of the lock checks it again in unlock
	if c.mu.TryLock() {
		go c.deliver()
	}
}

// unlock unlocks the connection. What became due meanwhile is delivered.
func (c *socket) unlock() {
	c.mu.Unlock()
	if c.due.Load() && c.mu.TryLock() {
		go c.deliver()
	}
}

// deliver sends what is due, until nothing is. It is given the connection locked.
func (c *socket) deliver() {
	for {
		c.due.Store(false)
		c.keepUp()
		c.mu.Unlock()
		if !c.due.Load() || !c.mu.TryLock() {
			return
		}
	}
}

// keepUp sends what is due, however slow the client reads. Now and then it unlocks the
// connection for others: the client's own messages, a ping, the drain.
func (c *socket) keepUp() {
	defer c.recovered(func() { c.closeLocked(websocket.StatusInternalError, "internal error") })
	for range 16 {
		if c.closing {
			return
		}
		chunk, err := c.cursor.Next(c.Stopped)
		switch {
		case errors.Is(err, jobs.ErrTrimmed):
			if err = c.gap(c.Stopped); err == nil {
				err = c.replies.flush()
			}
		case err != nil:
		case chunk != nil:
			err = c.replies.chunk(chunk)
		default:
			if err = c.patch(); err == nil {
				return
			}
		}
		if err != nil {
			c.broken(err)
			return
		}
	}
	c.due.Store(true)
}

// broken closes a connection after an internal error. It is locked.
func (c *socket) broken(err error) {
	if !errors.Is(err, errGone) && c.Stopped.Err() == nil {
		c.Logger.Error("a WebSocket connection failed", "error", err)
		c.closeLocked(websocket.StatusInternalError, "internal error")
	}
}

// patch sends the parts of the view that changed, or that what it shows no longer exists.
func (c *socket) patch() error {
	if c.viewer == nil {
		return nil
	}
	p, err := c.viewer.Next()
	if err != nil {
		id := c.viewID
		c.unwatch()
		return c.send(appendError(nil, id, err))
	}
	if p == nil || len(p.Fragments) == 0 {
		return nil
	}
	return c.send(p.Encoded(c.viewID, func(p *hub.Patch) []byte { return appendPatch(nil, c.viewID, p) }))
}

// pong answers a ping frame, in place of the library, which would give up after 5 s.
func (c *socket) pong(_ context.Context, data []byte) bool {
	c.mu.Lock()
	defer c.unlock()
	if !c.closing {
		c.wire.send(net.Buffers{controlFrame(opPong, data)}, c.cursor.Suspend)
	}
	return false
}

// close sends a close frame. The goroutine that reads waits for the client's.
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
	c.counters.closed(code)
	if c.wire.send(net.Buffers{closeFrame(code, reason)}, nil) == nil {
		c.wire.endWrites(rest.CloseTimeout)
	} else {
		c.wire.Close()
	}
}

// goAway tells the client to come back later.
func (c *socket) goAway(after time.Duration) {
	c.mu.Lock()
	defer c.unlock()
	if c.send(appendNumber(nil, "reconnect", "after_ms", after.Milliseconds())) == nil {
		c.closeLocked(websocket.StatusServiceRestart, "the hub restarts")
	}
}
