package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"jobhub/web/peers"
)

// This file reads what a trusted proxy in front of the hub says about a request.

// fromProxy is a request as it reached the outermost trusted proxy: with the address of
// its client and the scheme that this used. A proxy that is not trusted is the client.
func (s *Server) fromProxy(r *http.Request) *http.Request {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	sender := peers.Sender{For: host, Proto: s.proto(r)}
	outer := *r
	if s.trusts(host) {
		chain := forwardedFor(r)
		sender.For = strings.Join(append(slices.Clone(chain), host), ", ")
		for _, hop := range slices.Backward(chain) {
			addr, err := netip.ParseAddr(hop)
			if err != nil {
				break // what stands before it can't be believed
			}
			outer.RemoteAddr = net.JoinHostPort(addr.String(), "0")
			if !s.trusts(hop) {
				break
			}
		}
		switch proto := strings.ToLower(lastValue(r.Header.Values("X-Forwarded-Proto"))); proto {
		case "http", "https":
			sender.Proto = proto
		}
	}
	return outer.WithContext(peers.WithSender(r.Context(), sender))
}

// proto is the scheme by which the hub is called, without a proxy's word: its address may
// say that one speaks TLS for it.
func (s *Server) proto(r *http.Request) string {
	if r.TLS != nil || strings.HasPrefix(s.WebOrigin, "https:") {
		return "https"
	}
	return "http"
}

// trusts reports whether an address is that of a trusted proxy.
func (s *Server) trusts(address string) bool {
	addr, err := netip.ParseAddr(address)
	return err == nil && s.trustsAddress(addr)
}

// trustsAddress is trusts for those who have the address at hand.
func (s *Server) trustsAddress(addr netip.Addr) bool {
	return slices.ContainsFunc(s.Settings().Proxies, func(p netip.Prefix) bool { return p.Contains(addr.Unmap().WithZone("")) })
}

// forwardedFor is the addresses in X-Forwarded-For, the nearest last.
func forwardedFor(r *http.Request) (chain []string) {
	for _, line := range r.Header.Values("X-Forwarded-For") {
		for hop := range strings.SplitSeq(line, ",") {
			chain = append(chain, strings.TrimSpace(hop))
		}
	}
	return chain
}

func lastValue(lines []string) string {
	list := strings.Split(strings.Join(lines, ","), ",")
	return strings.TrimSpace(list[len(list)-1])
}
