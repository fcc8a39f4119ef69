// Package peers limits what the other end of a connection can do: how many connections there
// are, how long a peer may make no progress (neither send nor take a byte while something is
// expected of it), and how often an address may send wrong credentials.
package peers

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is a connection whose peer has to make progress. A write, and a read while data is due
// (see Due), fails if the peer neither takes nor sends a byte for the stall time. Deadlines
// that the owner sets hold as well.
type Conn struct {
	net.Conn
	stall     time.Duration
	stalled   *atomic.Int64 // counts connections that made no progress; may be nil
	onClose   func()        // called once, by Close; may be nil
	closeOnce sync.Once

	active      atomic.Int64 // when the peer last sent or took a byte, in Unix nanoseconds
	due         atomic.Bool  // the peer has to send something
	stalledRead atomic.Bool  // a read of what was due has failed for that
	silent      atomic.Bool  // the hub waits for a request, or for more of one

	mu         sync.Mutex // protects the fields below, and the order in which deadlines are set
	readUntil  time.Time  // as its owner has set it; zero for none
	writeUntil time.Time
}

// NewConn returns a connection whose peer may make no progress for the stall time.
func NewConn(c net.Conn, stall time.Duration) *Conn {
	p := &Conn{Conn: c, stall: stall}
	p.touch()
	return p
}

// NetConn returns the wrapped connection.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// touch records progress.
func (c *Conn) touch() { c.active.Store(time.Now().UnixNano()) }

// Write implements io.Writer.
func (c *Conn) Write(b []byte) (n int, err error) {
	for from := time.Now(); ; {
		c.setDeadline(from, &c.writeUntil, c.Conn.SetWriteDeadline)
		var m int
		m, err = c.Conn.Write(b[n:])
		if n += m; m > 0 {
			c.touch()
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || c.expired(from, &c.writeUntil) {
			return n, err
		}
	}
}

// Read implements io.Reader.
func (c *Conn) Read(b []byte) (n int, err error) {
	for from := time.Now(); c.due.Load(); {
		c.setDeadline(from, &c.readUntil, c.Conn.SetReadDeadline)
		n, err = c.read(b)
		timeout := errors.Is(err, os.ErrDeadlineExceeded)
		over := timeout && c.expired(from, &c.readUntil)
		c.mu.Lock()
		c.Conn.SetReadDeadline(c.readUntil)
		c.mu.Unlock()
		if !timeout {
			return n, err
		}
		if over && c.due.Load() {
			c.stalledRead.Store(true)
			return n, err
		}
		// At the end of a body net/http begins to read the next request before the reader of the
		// body can call Due(false).
	}
	return c.read(b)
}

func (c *Conn) read(b []byte) (n int, err error) {
	if n, err = c.Conn.Read(b); n > 0 {
		c.touch()
	}
	return n, err
}

// Due sets whether the peer has to send something, like the rest of a request.
func (c *Conn) Due(due bool) {
	c.due.Store(due)
	c.silent.Store(due)
}

// setDeadline sets the deadline of the next try of a read or write that began at from.
func (c *Conn) setDeadline(from time.Time, owners *time.Time, set func(time.Time) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// A try does not report when bytes were taken, so tries are short.
	end := c.progressDeadline(from)
	if try := time.Now().Add(c.stall / 8); try.Before(end) {
		end = try
	}
	if !owners.IsZero() && owners.Before(end) {
		end = *owners
	}
	set(end)
}

// progressDeadline returns when a peer without progress has stalled.
func (c *Conn) progressDeadline(from time.Time) time.Time {
	if active := time.Unix(0, c.active.Load()); active.After(from) {
		from = active
	}
	return from.Add(c.stall)
}

// expired reports whether a try that timed out was the last one.
func (c *Conn) expired(from time.Time, owners *time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if !owners.IsZero() && !now.Before(*owners) {
		return true
	}
	if now.Before(c.progressDeadline(from)) {
		return false
	}
	if c.stalled != nil {
		c.stalled.Add(1)
	}
	return true
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readUntil = t
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writeUntil = t
	return c.Conn.SetWriteDeadline(t)
}

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// CloseWrite closes the sending side.
func (c *Conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close implements io.Closer.
func (c *Conn) Close() error {
	if c.onClose != nil {
		c.closeOnce.Do(c.onClose)
	}
	return c.Conn.Close()
}

type connKey struct{}

// withConn is for http.Server.ConnContext.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, ConnOf(c))
}

// ConnOf returns the Conn that a connection wraps, for example in TLS; nil if there is none.
func ConnOf(c net.Conn) *Conn {
	for {
		switch on := c.(type) {
		case *Conn:
			return on
		case interface{ NetConn() net.Conn }:
			c = on.NetConn()
		default:
			return nil
		}
	}
}

// requestConn returns the connection of a request; nil if it is not known.
func requestConn(r *http.Request) *Conn {
	c, _ := r.Context().Value(connKey{}).(*Conn)
	return c
}
