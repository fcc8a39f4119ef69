package egress

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"jobhub/jobs"
)

// Parse reads the URL of a call, from the member at pointer. URLs of the upstreams may be
// called even if their addresses are not public. Its error is a *jobs.Problem with status
// 422.
func (g *Guard) Parse(pointer, text string, upstreams []string) (*url.URL, error) {
	if text == "" {
		return nil, jobs.Invalid(pointer, "is required")
	}
	u, err := url.Parse(text)
	if err != nil { // the error quotes the URL, which may hold secrets
		return nil, jobs.Invalid(pointer, "is not a valid URL")
	}
	if code, detail := g.Refuses(u); code != "" && !(code == jobs.BlockedAddress && IsUpstream(upstreams, u)) {
		p := jobs.Invalid(pointer, "%s", detail)
		if code == jobs.BlockedAddress {
			p.Code, p.Type, p.Title = code, "urn:jobhub:problem:blocked_address", "Blocked address"
		}
		return nil, p
	}
	u.RawQuery = EscapeQuery(u.RawQuery)
	return u, nil
}

// EscapeQuery percent-encodes characters of a query that are not allowed in URLs, like a
// space or a letter that is not ASCII. All others stay as they are.
func EscapeQuery(raw string) string {
	bad := func(c byte) bool { return c <= ' ' || c >= 0x7f || c == '#' }
	n := 0
	for i := range len(raw) {
		if bad(raw[i]) {
			n++
		}
	}
	if n == 0 {
		return raw
	}
	b := make([]byte, 0, len(raw)+2*n)
	for i := range len(raw) {
		if c := raw[i]; bad(c) {
			b = fmt.Appendf(b, "%%%02X", c)
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

// Refuses says why a URL may not be called; the code is empty if it may. It checks only the
// text of the URL; names are checked when they are dialled.
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
		port, _ := strconv.ParseUint(portOf(u), 10, 16)
		switch g.check(netip.AddrPortFrom(ip, uint16(port))) {
		case ErrBlocked:
			return jobs.BlockedAddress, "is not a public address; ask the operator to open its range with --egress-allow"
		case errOwn:
			return jobs.BlockedAddress, "is this hub itself, which jobs do not call; send the request to it directly"
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

// Origin is scheme, host and port of a URL; credentials belong to one origin.
func Origin(u *url.URL) string {
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + portOf(u)
}

func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}

// IsUpstream reports whether a URL has the origin of one of the upstreams, which the operator
// wrote. Such calls go without the guard.
func IsUpstream(upstreams []string, u *url.URL) bool {
	return slices.ContainsFunc(upstreams, func(upstream string) bool {
		up, err := url.Parse(upstream)
		return err == nil && Origin(up) == Origin(u)
	})
}

func isAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}
