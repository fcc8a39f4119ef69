package app

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// listen opens the address. Without keys that callers have to show, the hub is for this
// machine alone.
func listen(addr string, keyed bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("--addr %q: write it like 127.0.0.1:8080", addr)
	}
	ip, err := netip.ParseAddr(host)
	if !keyed && host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("--addr %s: without keys for callers the hub listens on loopback addresses only (127.0.0.1, [::1]); make one first: jobhub keys create --role admin", addr)
	}
	listener, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use; stop what listens there or choose another --addr: %w", addr, err)
	}
	if err != nil {
		return nil, fmt.Errorf("--addr %q: %w; write it like 127.0.0.1:8080", addr, err)
	}
	return listener, nil
}

// ownAddress is the IP address that the hub listens on, if it is a certain one. Unlike a
// name it always means this hub.
func ownAddress(addr string) []string {
	host, _, _ := net.SplitHostPort(addr)
	if ip, err := netip.ParseAddr(host); err == nil && !ip.IsUnspecified() {
		return []string{host}
	}
	return nil
}

// urlOf is where a listener can be reached, at least from this machine.
func urlOf(addr net.Addr) string {
	if at, err := netip.ParseAddrPort(addr.String()); err == nil && at.Addr().IsUnspecified() {
		return fmt.Sprintf("http://127.0.0.1:%d", at.Port())
	}
	return "http://" + addr.String()
}
