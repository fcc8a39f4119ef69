package egress

import (
	"context"
	"net"
	"net/http"
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
// addresses.
func Unguarded() *http.Transport {
	return transport((&net.Dialer{Timeout: connectTimeout}).DialContext)
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
