package egress

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// Transport is a http.Transport that does not fail a request because a kept connection was
// closed by the server before anything of it was sent. Such a request is sent again if its
// body can be, whatever its method; the server never saw it. net/http does so for some of
// these cases only.
type Transport struct{ *http.Transport }

// maxStale is how many reused connections of one request may turn out to be closed.
const maxStale = 10

var errStale = errors.New("the server has closed the connection")

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	for n := 0; ; n++ {
		var reused, ended, sent atomic.Bool
		ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{
			GotConn: func(got httptrace.GotConnInfo) {
				c := reusableOf(got.Conn)
				reused.Store(got.Reused)
				sent.Store(false)
				ended.Store(got.Reused && c != nil && stale(c.Conn))
				if ended.Load() {
					c.stale.Store(true) // nothing is written to it any more
				}
			},
			// A server acts on the whole head of a request only.
			WroteHeaders: func() { sent.Store(true) },
		})
		res, err := t.Transport.RoundTrip(r.WithContext(ctx))
		again := err != nil && reused.Load() && (!sent.Load() || ended.Load()) && n < maxStale && r.Context().Err() == nil
		if !again {
			return res, err
		}
		if r.Body != nil && r.Body != http.NoBody {
			if r.GetBody == nil {
				return nil, err
			}
			body, e := r.GetBody()
			if e != nil {
				return nil, err
			}
			r = r.WithContext(r.Context())
			r.Body = body
		}
	}
}

// reusableConn is a connection that can be marked as closed by the server.
type reusableConn struct {
	net.Conn
	stale atomic.Bool
}

func (c *reusableConn) Write(p []byte) (int, error) {
	if c.stale.Load() {
		return 0, errStale
	}
	return c.Conn.Write(p)
}

func detectStale(dial func(ctx context.Context, network, address string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &reusableConn{Conn: conn}, nil
	}
}

// reusableOf is the reusableConn below a connection of net/http; nil if several requests
// share it.
func reusableOf(conn net.Conn) *reusableConn {
	for {
		switch c := conn.(type) {
		case *reusableConn:
			return c
		case *tls.Conn:
			if c.ConnectionState().NegotiatedProtocol == "h2" {
				return nil
			}
			conn = c.NetConn()
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		default:
			return nil
		}
	}
}
