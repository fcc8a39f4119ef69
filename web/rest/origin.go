package rest

import (
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"jobhub/jobs"
	"jobhub/web/peers"
)

// CheckHostAndOrigin decides before any route whether a request may be answered at all. The name
// it was sent to must be one of the hub's, which is what stops DNS rebinding: a page of
// another site that resolves to this address still carries its own name.
func (s *Base) CheckHostAndOrigin(r *http.Request) error {
	if !s.IsOwnHost(r.Host) && r.URL.Path != "/healthz" && r.URL.Path != "/readyz" { // which probes ask by any address, and which tell nothing then
		return &jobs.Problem{Type: "urn:jobhub:problem:misdirected", Title: "Misdirected request", Code: Forbidden, Status: http.StatusMisdirectedRequest,
			Detail: "This hub is not called " + r.Host + ". Add the name to hosts in its configuration if it should be."}
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" && r.Method != http.MethodGet && r.Method != http.MethodHead {
			return foreignOrigin(site)
		}
		return nil
	}
	if !s.isOwnOrigin(origin, r) && !slices.Contains(s.Settings().Origins, origin) && !isStatic(r) {
		return foreignOrigin(origin)
	}
	return nil
}

// IsOwnHost reports whether a Host header has one of the hub's names.
func (s *Base) IsOwnHost(hostport string) bool {
	host := hostname(hostport)
	return isLoopback(host) || host != "" && slices.ContainsFunc(s.Settings().Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// hostname is a host without its port; empty if it is malformed.
func hostname(hostport string) string {
	m := hostForm.FindStringSubmatch(hostport)
	if m == nil {
		return ""
	}
	return strings.TrimSuffix(strings.Trim(m[1], "[]"), ".")
}

// hostForm is a name, or an IP address, and a port. What is not quite one may be read
// otherwise by an upstream.
var hostForm = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$`)

// isOwnOrigin reports whether an origin is the hub's: as it was called, or as its address says,
// since a proxy may speak TLS for it.
func (s *Base) isOwnOrigin(origin string, r *http.Request) bool {
	return strings.EqualFold(origin, ownOrigin(r)) || r.TLS == nil && strings.EqualFold(origin, "http://"+r.Host) || s.WebOrigin != "" && strings.EqualFold(origin, s.WebOrigin)
}

func ownOrigin(r *http.Request) string { return peers.SenderOf(r).Proto + "://" + r.Host }

// sameOrigin reports whether a browser says that a page of the hub itself sends the
// request. Browsers show a cookie without being asked, so that it takes more than not
// being foreign to change something with it.
func (s *Base) sameOrigin(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		return s.isOwnOrigin(origin, r)
	}
	return r.Header.Get("Sec-Fetch-Site") == "same-origin"
}

// changes reports whether a request could change something: a WebSocket can, too.
func changes(r *http.Request) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead || r.Header.Get("Upgrade") != ""
}

func foreignOrigin(origin string) error {
	return jobs.NewProblem(Forbidden, "Foreign origin", "Pages of %s may not use this hub. If this is the hub itself behind a proxy, start it with --url %s; else add the origin to origins in its configuration if its pages may.", origin, origin)
}

// isStatic reports whether a request reads a file that is the same for everybody. Browsers
// send an Origin with module scripts, also from a hub whose address a proxy changed.
func isStatic(r *http.Request) bool {
	return (r.Method == http.MethodGet || r.Method == http.MethodHead) && strings.HasPrefix(r.URL.Path, "/static/")
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
