package egress

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

const (
	connectTimeout    = 10 * time.Second // and the same again for TLS
	idleTimeout       = 4 * time.Second  // many servers close after 5 s, perhaps during the next request
	maxResponseHeader = 256 << 10
)

// Transport returns a transport that reaches only addresses that the guard allows. Share it,
// because it keeps connections.
//
// A proxy is dialled whatever its address. The guard checks the requested host before: all
// addresses that its name has here must be open, because the proxy may use any of them.
func (g *Guard) Transport(o Outbound) *Transport {
	if o.Proxy == nil {
		return transport(g.dial, o)
	}
	t := Unguarded(g.own, o)
	t.Proxy = func(r *http.Request) (*url.URL, error) { return o.Proxy, g.checkAll(r.Context(), r.URL) }
	return t
}

// Unguarded returns a transport for upstreams that the operator wrote, whatever their
// addresses. Only the hub itself is not called, because that could be an endless loop.
func Unguarded(own *Own, o Outbound) *Transport {
	d := net.Dialer{Timeout: connectTimeout, Control: func(_, resolved string, _ syscall.RawConn) error {
		if at, err := netip.ParseAddrPort(resolved); err == nil && own.listens(at) {
			return errOwn
		}
		return nil
	}}
	t := transport(d.DialContext, o)
	if o.Proxy != nil {
		t.Proxy = http.ProxyURL(o.Proxy)
	}
	return t
}

func transport(dial func(ctx context.Context, network, address string) (net.Conn, error), o Outbound) *Transport {
	t := &http.Transport{
		Proxy:                  nil, // the proxy of the environment is not for the hub
		DialContext:            detectStale(dial),
		TLSHandshakeTimeout:    connectTimeout,
		ExpectContinueTimeout:  time.Second,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    64,
		MaxResponseHeaderBytes: maxResponseHeader,
		DisableCompression:     true, // answers are kept byte for byte
		ForceAttemptHTTP2:      true,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: connectTimeout},
	}
	if o.CAs != nil || o.Certificate != nil {
		t.TLSClientConfig = &tls.Config{RootCAs: o.CAs}
		if o.Certificate != nil {
			t.TLSClientConfig.Certificates = []tls.Certificate{*o.Certificate}
		}
	}
	return &Transport{t}
}

// checkAll returns nil if all addresses of a URL's host may be dialled.
func (g *Guard) checkAll(ctx context.Context, u *url.URL) error {
	addrs, err := g.addresses(ctx, u)
	for _, at := range addrs {
		if err := g.check(at); err != nil {
			return err
		}
	}
	return err
}

// PublicURL is Public for a server behind a proxy, by the addresses of its name.
func (g *Guard) PublicURL(ctx context.Context, u *url.URL) bool {
	addrs, err := g.addresses(ctx, u)
	for _, at := range addrs {
		if g.Public(net.TCPAddrFromAddrPort(at)) {
			return true
		}
	}
	return err != nil
}

// addresses are the addresses of a URL's host, as this machine resolves it.
func (g *Guard) addresses(ctx context.Context, u *url.URL) (list []netip.AddrPort, err error) {
	port, err := net.DefaultResolver.LookupPort(ctx, "tcp", portOf(u))
	if err != nil {
		return nil, err
	}
	ips := make([]netip.Addr, 1)
	if ips[0], err = netip.ParseAddr(u.Hostname()); err != nil {
		resolver := g.Dialer.Resolver
		if resolver == nil {
			resolver = net.DefaultResolver
		}
		if ips, err = resolver.LookupNetIP(ctx, "ip", u.Hostname()); err != nil {
			return nil, err
		}
	}
	for _, ip := range ips {
		list = append(list, netip.AddrPortFrom(ip, uint16(port)))
	}
	return list, nil
}
