package egress

import (
	"net/netip"
	"sync/atomic"
)

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

// unmapped turns ranges of IPv4-mapped IPv6 addresses into ranges of IPv4 addresses, as which
// they are dialled.
func unmapped(list []netip.Prefix) (out []netip.Prefix) {
	for _, p := range list {
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		out = append(out, p)
	}
	return out
}
