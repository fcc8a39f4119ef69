package app

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// listen listens on an address. Without keys, only loopback addresses are allowed.
func listen(addr string, keyed bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("--addr %q: write it like 127.0.0.1:8080", addr)
	}
	ip, err := netip.ParseAddr(host)
	if !keyed && host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("--addr %s: without keys the hub listens on loopback addresses only (127.0.0.1, [::1]); make a key first: jobhub keys create --role admin", addr)
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

// ownAddress returns the IP address that the hub listens on, unless that is unspecified. Unlike
// a name, it always means this hub.
func ownAddress(addr string) []string {
	host, _, _ := net.SplitHostPort(addr)
	if ip, err := netip.ParseAddr(host); err == nil && !ip.IsUnspecified() {
		return []string{host}
	}
	return nil
}

// urlOf returns the URL of a listener, as seen from this machine.
func urlOf(addr net.Addr) string {
	if at, err := netip.ParseAddrPort(addr.String()); err == nil && at.Addr().IsUnspecified() {
		return fmt.Sprintf("http://127.0.0.1:%d", at.Port())
	}
	return "http://" + addr.String()
}
