package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"jobhub/web/peers"
)

// This file reads the headers with which a trusted proxy in front of the hub describes a
// request.

// fromProxy returns a request with the client's address and scheme as the outermost trusted
// proxy saw them. A proxy that is not trusted counts as the client.
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
				break // the entries before it can't be trusted
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

// proto returns the scheme of a request without X-Forwarded-Proto: https for TLS, and if the
// configured address of the hub says so.
func (s *Server) proto(r *http.Request) string {
	if r.TLS != nil || strings.HasPrefix(s.WebOrigin, "https:") {
		return "https"
	}
	return "http"
}

// trusts reports whether an IP address, as text, is that of a trusted proxy.
func (s *Server) trusts(address string) bool {
	addr, err := netip.ParseAddr(address)
	return err == nil && s.trustsAddress(addr)
}

// trustsAddress is trusts for a parsed address.
func (s *Server) trustsAddress(addr netip.Addr) bool {
	return slices.ContainsFunc(s.Settings().Proxies, func(p netip.Prefix) bool { return p.Contains(addr.Unmap().WithZone("")) })
}

// forwardedFor returns the addresses in X-Forwarded-For; the nearest is last.
func forwardedFor(r *http.Request) (chain []string) {
	for _, line := range r.Header.Values("X-Forwarded-For") {
		for hop := range strings.SplitSeq(line, ",") {
			chain = append(chain, strings.TrimSpace(hop))
		}
	}
	return chain
}

// lastValue returns the last item of comma-separated header lines.
func lastValue(lines []string) string {
	list := strings.Split(strings.Join(lines, ","), ",")
	return strings.TrimSpace(list[len(list)-1])
}
