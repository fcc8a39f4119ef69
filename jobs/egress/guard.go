// Package egress is the way out for the hub's own HTTP calls: jobs of kind http and
// fanout, and callbacks.
//
// What it promises:
//
//   - Only public addresses are dialled, and those that the operator opened. The check is
//     made on the resolved address of every connection, so neither a redirect nor a name
//     that changes its address gets around it.
//   - The hub's own listeners are never dialled: a job must not act as the hub.
//   - No proxy is taken from the environment. A proxy of the operator is dialled whatever its
//     address, and asked only for hosts whose addresses all pass the check.
//   - No query, header or resolved address of a call is in an error.
package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"

	"code.dny.dev/ssrf"
)

// ErrBlocked says that an address was refused. It deliberately does not name the address.
var ErrBlocked = errors.New("the address is blocked")

// errOwn is ErrBlocked for an address of the hub itself.
var errOwn = fmt.Errorf("%w: it is the hub itself", ErrBlocked)

// alwaysClosed are ranges that a wider prefix does not open, because their servers give out
// credentials of the machine. Not all of them are private addresses.
var alwaysClosed = []netip.Prefix{
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
	own    *Own
}

// Options says what a guard lets through. The zero value is public addresses only.
type Options struct {
	// Allow lists ranges that may be reached although they are not public. Link-local and
	// metadata addresses stay closed unless a prefix lies within their own range: 0.0.0.0/0
	// does not open 169.254.169.254, 169.254.169.254/32 does.
	Allow []netip.Prefix

	// Opened are further ranges, which may change at any time; none if nil.
	Opened *Ranges

	// Own is where the hub itself listens. It is never dialled, whatever Allow says.
	Own *Own
}

// New returns a guard.
func New(o Options) *Guard {
	if o.Opened == nil {
		o.Opened = new(Ranges)
	}
	return &Guard{Dialer: net.Dialer{Timeout: connectTimeout}, public: ssrf.New(ssrf.WithAnyPort()), allow: unmapped(o.Allow), opened: o.Opened, own: o.Own}
}

// Outside returns a guard with the same dialer and no opened ranges: for redirects by public
// servers.
func (g *Guard) Outside() *Guard {
	return &Guard{Dialer: g.Dialer, public: g.public, opened: new(Ranges), own: g.own}
}

// Public reports whether an address is public. An address that is not an IP address counts as
// public.
func (g *Guard) Public(addr net.Addr) bool {
	at, err := netip.ParseAddrPort(addr.String())
	return err != nil || g.public.SafeAddr(at.Addr().Unmap()) == nil
}

// check returns nil for an address that may be dialled: it is open, and not the hub itself.
func (g *Guard) check(at netip.AddrPort) error {
	switch {
	case !g.open(at.Addr()):
		return ErrBlocked
	case g.own.listens(at):
		return errOwn
	}
	return nil
}

// open reports whether ip may be dialled.
func (g *Guard) open(ip netip.Addr) bool {
	if ip.Zone() != "" { // no prefix contains such an address, so no rule below would see it
		return false
	}
	ip = ip.Unmap() // a mapped address is dialled as IPv4
	if inner, ok := embeddedIPv4(ip); ok && !g.open(inner) {
		return false
	}
	for _, c := range alwaysClosed {
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

// embeddedIPv4 returns the IPv4 address to which a NAT64 or 6to4 gateway forwards packets for
// ip.
func embeddedIPv4(ip netip.Addr) (netip.Addr, bool) {
	b := ip.As16()
	switch {
	case nat64.Contains(ip):
		return netip.AddrFrom4([4]byte(b[12:])), true
	case sixToFour.Contains(ip):
		return netip.AddrFrom4([4]byte(b[2:6])), true
	}
	return netip.Addr{}, false
}

// dial connects only to open addresses. A name is blocked only if all its addresses are. If
// one is open, its error counts, whatever the order of the addresses.
func (g *Guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := g.Dialer
	var tried atomic.Pointer[string]
	d.Control = func(_, resolved string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(resolved)
		if err != nil {
			return ErrBlocked
		}
		if err := g.check(at); err != nil {
			return err
		}
		tried.Store(&resolved)
		return nil
	}
	conn, err := d.DialContext(ctx, network, address)
	if open := tried.Load(); open != nil && errors.Is(err, ErrBlocked) {
		return d.DialContext(ctx, network, *open) // net reports only one of several errors: dial the open address again
	}
	return conn, err
}
