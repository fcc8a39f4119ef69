package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http/httptrace"
	"sync"
)

// Track returns a dial function for the DialContext of a pool's transport. On its connections a
// pool knows exactly whether any byte of a request was written. On others, and where requests
// share a connection as in HTTP/2, it takes a request that got a connection as sent.
func Track(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &conn{Conn: c}, nil
	}
}

var errEnded = errors.New("nothing more is written to this connection")

// conn counts the bytes written to a connection.
type conn struct {
	net.Conn

	mu      sync.Mutex // protects the fields below
	written int64
	writing int  // writes under way
	ended   bool // writes fail from now on
}

// NetConn returns the wrapped connection.
func (c *conn) NetConn() net.Conn { return c.Conn }

// Write implements io.Writer.
func (c *conn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		return 0, errEnded
	}
	c.writing++
	c.mu.Unlock()
	n, err := c.Conn.Write(p)
	c.mu.Lock()
	c.writing--
	c.written += int64(n)
	c.mu.Unlock()
	return n, err
}

func (c *conn) count() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written
}

// end lets nothing more be written, if nothing was since there were from bytes. Else it returns
// false.
func (c *conn) end(from int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.written != from || c.writing > 0 {
		return false
	}
	c.ended = true
	return true
}

// connOf returns the conn below a connection of net/http; nil if there is none or several
// requests share it.
func connOf(on net.Conn) *conn {
	for {
		switch c := on.(type) {
		case *conn:
			return c
		case *tls.Conn:
			if c.ConnectionState().NegotiatedProtocol == "h2" {
				return nil
			}
			on = c.NetConn()
		case interface{ NetConn() net.Conn }:
			on = c.NetConn()
		default:
			return nil
		}
	}
}

// sent is what a try has sent.
type sent struct {
	mu        sync.Mutex // protects the fields below
	asked     bool       // for a connection: so the request itself was not refused
	connected bool       // there was one
	on        *conn      // the last one; nil if it is not tracked
	from      int64      // bytes written to it before
	some      bool       // something was sent, or may have been
}

// traced returns a context that records in s what is sent.
func (s *sent) traced(ctx context.Context, p *patience) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) {
			s.mu.Lock()
			s.asked = true
			s.mu.Unlock()
		},
		GotConn: func(got httptrace.GotConnInfo) {
			p.pause()
			on := connOf(got.Conn)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.leaveLocked()
			s.connected = true
			if s.on = on; on != nil {
				s.from = on.count()
			} else {
				s.some = true
			}
		},
		WroteRequest: func(httptrace.WroteRequestInfo) { p.resume() },
	})
}

// leaveLocked ends the use of a connection.
func (s *sent) leaveLocked() {
	if s.on != nil && !s.on.end(s.from) {
		s.some = true
	}
	s.on = nil
}

// end says, after a try failed, whether nothing was sent, and sees to it that nothing will be;
// whether there was a connection; and whether one was asked for.
func (s *sent) end() (nothing, connected, asked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leaveLocked()
	return !s.some, s.connected, s.asked
}
