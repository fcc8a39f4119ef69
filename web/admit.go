package web

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"jobhub/jobs"
)

// admit decides before any route whether a request may be answered at all. The name
// it was sent to must be one of the hub's, which is what stops DNS rebinding: a page of
// another site that resolves to this address still carries its own name.
func (s *Server) admit(r *http.Request) error {
	host := hostname(r.Host)
	if !isLoopback(host) && !slices.ContainsFunc(s.live.Load().Hosts, func(h string) bool { return strings.EqualFold(h, host) }) {
		return &jobs.Problem{Type: "urn:jobhub:problem:misdirected", Title: "Misdirected request", Code: forbidden, Status: http.StatusMisdirectedRequest,
			Detail: "This hub is not called " + host + ". Add the name to hosts in its configuration if it should be."}
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" && r.Method != http.MethodGet && r.Method != http.MethodHead {
			return foreign(site)
		}
		return nil
	}
	scheme := "http://"
	if r.TLS != nil {
		scheme = "https://"
	}
	if !strings.EqualFold(origin, scheme+r.Host) && !slices.Contains(s.live.Load().Origins, origin) {
		return foreign(origin)
	}
	return nil
}

func foreign(origin string) error {
	return jobs.NewProblem(forbidden, "Foreign origin", "Pages of %s may not use this hub. Add the origin to origins in its configuration if they should.", origin)
}

func hostname(hostport string) string {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	return strings.TrimSuffix(strings.Trim(host, "[]"), ".")
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
