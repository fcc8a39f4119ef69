package egress

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

const (
	connectTimeout    = 10 * time.Second // and as much again for TLS
	idleTimeout       = 4 * time.Second  // many servers hang up after 5 s, in the middle of the next request
	maxResponseHeader = 256 << 10
)

// Transport returns a transport that dials past the guard only. It is to be shared, as
// it keeps connections.
func (g *Guard) Transport() *http.Transport { return transport(g.dial) }

// Unguarded returns a transport for upstreams that the operator wrote, whatever their
// addresses. Only the hub itself is not called: that would go in a circle.
func Unguarded(own *Own) *http.Transport {
	d := net.Dialer{Timeout: connectTimeout, Control: func(_, resolved string, _ syscall.RawConn) error {
		if at, err := netip.ParseAddrPort(resolved); err == nil && own.listens(at) {
			return errOwn
		}
		return nil
	}}
	return transport(d.DialContext)
}

func transport(dial func(ctx context.Context, network, address string) (net.Conn, error)) *http.Transport {
	return &http.Transport{
		Proxy:                  nil, // a proxy would dial for us, past the guard
		DialContext:            dial,
		TLSHandshakeTimeout:    connectTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    64,
		MaxResponseHeaderBytes: maxResponseHeader,
		DisableCompression:     true, // answers are kept byte for byte
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: connectTimeout},
	}
}
