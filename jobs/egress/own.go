package egress

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
)

// Own holds the addresses on which the hub itself listens. The zero value, and nil, has none.
type Own struct {
	list atomic.Pointer[[]netip.AddrPort]
}

// Set replaces the addresses.
func (o *Own) Set(addrs ...net.Addr) {
	var list []netip.AddrPort
	for _, a := range addrs {
		text := a.String()
		if strings.HasPrefix(text, ":") {
			text = "[::]" + text
		}
		if at, err := netip.ParseAddrPort(text); err == nil {
			list = append(list, netip.AddrPortFrom(at.Addr().Unmap(), at.Port()))
		}
	}
	o.list.Store(&list)
}

// listens reports whether the hub listens at an address. An unspecified address, like
// 0.0.0.0, means all addresses of this machine, both for a listener and as a target.
func (o *Own) listens(at netip.AddrPort) bool {
	if o == nil || o.list.Load() == nil {
		return false
	}
	ip := at.Addr().Unmap().WithZone("")
	if inner, ok := embeddedIPv4(ip); ok && o.listens(netip.AddrPortFrom(inner, at.Port())) {
		return true
	}
	return slices.ContainsFunc(*o.list.Load(), func(own netip.AddrPort) bool {
		switch {
		case own.Port() != at.Port():
			return false
		case own.Addr().IsUnspecified():
			return local(ip)
		case ip.IsUnspecified():
			return local(own.Addr())
		}
		return own.Addr().WithZone("") == ip
	})
}

// Listens reports whether a URL leads to the hub. Names are not resolved; only localhost is
// known.
func (o *Own) Listens(u *url.URL) bool {
	hosts := []string{u.Hostname()}
	if strings.EqualFold(hosts[0], "localhost") {
		hosts = []string{"127.0.0.1", "::1"}
	}
	return slices.ContainsFunc(hosts, func(host string) bool {
		at, err := netip.ParseAddrPort(net.JoinHostPort(host, portOf(u)))
		return err == nil && o.listens(at)
	})
}

// local reports whether an address belongs to this machine.
func local(ip netip.Addr) bool {
	if ip.IsLoopback() || ip.IsUnspecified() {
		return true
	}
	addrs, err := net.InterfaceAddrs()
	return err != nil || slices.ContainsFunc(addrs, func(a net.Addr) bool {
		prefix, err := netip.ParsePrefix(a.String())
		return err == nil && prefix.Addr().Unmap() == ip
	})
}
