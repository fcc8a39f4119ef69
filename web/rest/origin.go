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

// CheckHost refuses a request that is for another host. This stops DNS rebinding: a page of
// another site whose name resolves to this address still sends its own name.
func (s *Base) CheckHost(r *http.Request) error {
	if s.IsOwnHost(r.Host) || r.URL.Path == "/healthz" || r.URL.Path == "/readyz" { // probes use any address, and get no details then
		return nil
	}
	return &jobs.Problem{Type: "urn:jobhub:problem:forbidden", Title: "Misdirected request", Code: Forbidden, Status: http.StatusMisdirectedRequest,
		Detail: "This hub does not answer for the host " + r.Host + ". Add it to hosts in the configuration if it should."}
}

// CheckOrigin refuses a request from a page of a foreign origin, unless allowed says that its
// pages may send it.
func (s *Base) CheckOrigin(r *http.Request, allowed func(origin string) bool) error {
	origin := r.Header.Get("Origin")
	if origin == "" {
		if site := r.Header.Get("Sec-Fetch-Site"); site == "cross-site" && r.Method != http.MethodGet && r.Method != http.MethodHead {
			return foreignOrigin(site)
		}
		return nil
	}
	if !s.isOwnOrigin(origin, r) && !allowed(origin) && !isStatic(r) {
		return foreignOrigin(origin)
	}
	return nil
}

// IsOwnHost reports whether a Host header holds one of the hub's names.
func (s *Base) IsOwnHost(hostport string) bool {
	host := hostname(hostport)
	return isLoopback(host) || host != "" && slices.ContainsFunc(s.Settings().Hosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// hostname returns a host without its port; empty if it is malformed.
func hostname(hostport string) string {
	m := hostForm.FindStringSubmatch(hostport)
	if m == nil {
		return ""
	}
	return strings.TrimSuffix(strings.Trim(m[1], "[]"), ".")
}

// hostForm is a name or an IP address with an optional port. Other texts are refused, since an
// upstream may read them differently.
var hostForm = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$`)

// isOwnOrigin reports whether an origin is the hub's: that of the request, or that of the
// hub's configured address, since a proxy in front may speak TLS.
func (s *Base) isOwnOrigin(origin string, r *http.Request) bool {
	return strings.EqualFold(origin, ownOrigin(r)) || r.TLS == nil && strings.EqualFold(origin, "http://"+r.Host) || s.WebOrigin != "" && strings.EqualFold(origin, s.WebOrigin)
}

func ownOrigin(r *http.Request) string { return peers.SenderOf(r).Proto + "://" + r.Host }

// sameOrigin reports whether a browser says that a page of the hub itself sends the request.
// Browsers send a cookie with every request, so a change that relies on it needs this proof.
func (s *Base) sameOrigin(r *http.Request) bool {
	if origin := r.Header.Get("Origin"); origin != "" {
		return s.isOwnOrigin(origin, r)
	}
	return r.Header.Get("Sec-Fetch-Site") == "same-origin"
}

// changes reports whether a request could change something. A WebSocket could.
func changes(r *http.Request) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead || r.Header.Get("Upgrade") != ""
}

func foreignOrigin(origin string) error {
	return jobs.NewProblem(Forbidden, "Foreign origin", "Pages of %s may not use this hub. If this is the hub itself behind a proxy, start it with --url %s; else add the origin to origins in its configuration if its pages may.", origin, origin)
}

// isStatic reports whether a request reads a static file. Browsers send an Origin with module
// scripts, which is a foreign one if a proxy changed the hub's address.
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
