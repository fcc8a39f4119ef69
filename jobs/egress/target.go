package egress

import (
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"jobhub/jobs"
)

// Parse reads the URL of a call that is asked for in the member at pointer. Those of the
// upstreams may be called although their addresses are not public. Its error is a
// *jobs.Problem with status 422.
func (g *Guard) Parse(pointer, text string, upstreams []string) (*url.URL, error) {
	if text == "" {
		return nil, jobs.Invalid(pointer, "is required")
	}
	u, err := url.Parse(text)
	if err != nil { // the error quotes the URL, which may hold secrets
		return nil, jobs.Invalid(pointer, "is not a valid URL")
	}
	if code, detail := g.Refuses(u); code != "" && !(code == jobs.BlockedAddress && Listed(upstreams, u)) {
		p := jobs.Invalid(pointer, "%s", detail)
		if code == jobs.BlockedAddress {
			p.Code, p.Type, p.Title = code, "urn:jobhub:problem:blocked_address", "Blocked address"
		}
		return nil, p
	}
	return u, nil
}

// Refuses says why a URL is not called, or returns an empty code. It judges what is
// written there; names are judged when they are dialled.
func (g *Guard) Refuses(u *url.URL) (code jobs.Code, detail string) {
	host := u.Hostname()
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return jobs.BadMessage, "must be an absolute http or https URL"
	case host == "":
		return jobs.BadMessage, "has no host"
	case u.User != nil:
		return jobs.BadMessage, "must not hold a user name or a password; send an Authorization header instead"
	case strings.Contains(host, "%"):
		return jobs.BlockedAddress, "is an address with a zone, which is never called"
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return jobs.BadMessage, "must have a port from 1 to 65535"
		}
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if !g.open(ip) {
			return jobs.BlockedAddress, "is not a public address; ask the operator to open its range with --egress-allow"
		}
		return "", ""
	}
	if endsInNumber(host) {
		return jobs.BlockedAddress, "must have a name, or an IPv4 address as four decimal numbers, as its host"
	}
	for i := range len(host) {
		if c := host[i]; !isAlphanumeric(c) && c != '-' && c != '.' && c != '_' {
			return jobs.BadMessage, "must have a host of letters, digits, '-', '_' and '.'; write other names in their ASCII form (xn--…)"
		}
	}
	return "", ""
}

// endsInNumber reports whether resolvers may take host for an IPv4 address: they
// also read octal, hexadecimal, and fewer than four parts (2130706433, 0x7f.1).
func endsInNumber(host string) bool {
	host = strings.ToLower(strings.TrimRight(host, "."))
	last := host[strings.LastIndexByte(host, '.')+1:]
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		return strings.Trim(hex, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}

// Origin is what credentials belong to: scheme, host and port.
func Origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// Listed reports whether a URL has the origin of one of the upstreams, which the operator
// wrote: such calls are not under the guard.
func Listed(upstreams []string, u *url.URL) bool {
	return slices.ContainsFunc(upstreams, func(upstream string) bool {
		up, err := url.Parse(upstream)
		return err == nil && Origin(up) == Origin(u)
	})
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
