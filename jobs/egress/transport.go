package egress

import (
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
func (g *Guard) Transport() *http.Transport {
	return &http.Transport{
		Proxy:                  nil, // a proxy would dial for us, past the guard
		DialContext:            g.dial,
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
