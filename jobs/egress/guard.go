// Package egress is the way out for the hub's own HTTP calls: jobs of kind http and
// fanout, and callbacks.
//
// What it promises:
//
//   - Only public addresses are dialled, and those that the operator opened. The check is
//     made on the resolved address of every connection, so neither a redirect nor a name
//     that changes its address gets around it.
//   - No proxy is taken from the environment: it would dial past the check.
//   - No query, header or resolved address of a call is in an error.
package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"

	"code.dny.dev/ssrf"
)

// ErrBlocked says that an address was refused, and deliberately nothing else.
var ErrBlocked = errors.New("the address is blocked")

// closed are the ranges that a wider prefix does not open: whoever
// reaches them can act as the machine. Not all of them are private addresses.
var closed = []netip.Prefix{
	netip.MustParsePrefix("169.254.0.0/16"),     // link-local, most clouds' metadata
	netip.MustParsePrefix("fe80::/10"),          // link-local
	netip.MustParsePrefix("168.63.129.16/32"),   // Azure, a public address
	netip.MustParsePrefix("100.100.100.200/32"), // Alibaba
	netip.MustParsePrefix("192.0.0.192/32"),     // Oracle
	netip.MustParsePrefix("fd00:ec2::/32"),      // AWS
	netip.MustParsePrefix("fd20:ce::254/128"),   // Google
}

var (
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour = netip.MustParsePrefix("2002::/16")
)

// Guard decides which addresses may be dialled.
type Guard struct {
	Dialer net.Dialer // dials what is open

	public *ssrf.Guardian
	allow  []netip.Prefix
	opened *Ranges
}

// New returns a guard that opens the ranges in allow, and those in opened as they change,
// besides public addresses; opened may be nil. Link-local and metadata addresses stay
// closed unless a prefix lies within their own range: 0.0.0.0/0 does not open
// 169.254.169.254, 169.254.169.254/32 does.
func New(allow []netip.Prefix, opened *Ranges) *Guard {
	if opened == nil {
		opened = new(Ranges)
	}
	return &Guard{Dialer: net.Dialer{Timeout: connectTimeout}, public: ssrf.New(ssrf.WithAnyPort()), allow: unmapped(allow), opened: opened}
}

// Ranges is a list of address ranges that may be replaced at any time. The zero value
// is empty.
type Ranges struct {
	list atomic.Pointer[[]netip.Prefix]
}

// Set replaces the list; connections that are open stay.
func (r *Ranges) Set(list []netip.Prefix) {
	list = unmapped(list)
	r.list.Store(&list)
}

func (r *Ranges) get() []netip.Prefix {
	if list := r.list.Load(); list != nil {
		return *list
	}
	return nil
}

// unmapped writes ranges of mapped IPv4 addresses as what they are dialled as.
func unmapped(list []netip.Prefix) (out []netip.Prefix) {
	for _, p := range list {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		out = append(out, p)
	}
	return out
}

// open reports whether ip may be dialled.
func (g *Guard) open(ip netip.Addr) bool {
	if ip.Zone() != "" { // no prefix contains such an address, so no rule below would see it
		return false
	}
	ip = ip.Unmap() // a mapped address is dialled as IPv4
	if inner, ok := carried(ip); ok && !g.open(inner) {
		return false
	}
	for _, c := range closed {
		if c.Contains(ip) {
			return g.allowed(ip, c.Bits())
		}
	}
	return g.allowed(ip, 0) || g.public.SafeAddr(ip) == nil
}

// allowed reports whether the operator opened ip with a prefix of at least that length.
func (g *Guard) allowed(ip netip.Addr, bits int) bool {
	open := func(p netip.Prefix) bool { return p.Bits() >= bits && p.Contains(ip) }
	return slices.ContainsFunc(g.allow, open) || slices.ContainsFunc(g.opened.get(), open)
}

// carried returns the IPv4 address to which a gateway would pass on packets for ip.
func carried(ip netip.Addr) (netip.Addr, bool) {
	b := ip.As16()
	switch {
	case nat64.Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:])), true
	case sixToFour.Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}

// dial connects only to open addresses. A name with several addresses that can't be
// reached is blocked if one of them is: the outcome must not depend on their order.
func (g *Guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := g.Dialer
	var blocked atomic.Bool
	d.Control = func(_, resolved string, _ syscall.RawConn) error {
		if ip, err := netip.ParseAddrPort(resolved); err == nil && g.open(ip.Addr()) {
			return nil
		}
		blocked.Store(true)
		return ErrBlocked
	}
	conn, err := d.DialContext(ctx, network, address)
	if err != nil && blocked.Load() {
		return nil, ErrBlocked
	}
	return conn, err
}
