package gateway

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"jobhub/jobs/httpheader"
	"jobhub/web/peers"
)

// upstreamHeader returns the headers that the upstream gets for a request.
func (route *Route) upstreamHeader(r *http.Request) http.Header {
	h := make(http.Header, len(r.Header)+4)
	for name, values := range r.Header {
		if isPlainHeaderName(name) && !isConnectionHeader(name) && !isForwardingHeader(name) {
			h[name] = append([]string(nil), values...)
		}
	}
	httpheader.DropConnection(h, r.Header["Connection"])
	if !route.ForwardAuth {
		h.Del("Authorization")
		h.Del("Cookie")
	}
	hideCredentials(h)
	for name, value := range route.Headers {
		h.Set(name, value)
	}
	sender := peers.SenderOf(r)
	if sender.For != "" {
		h.Set("X-Forwarded-For", sender.For)
	}
	h.Set("X-Forwarded-Host", r.Host)
	h.Set("X-Forwarded-Proto", sender.Proto)
	if _, ok := h["User-Agent"]; !ok {
		h.Set("User-Agent", "") // so that net/http does not set its own
	}
	return h
}

// isPlainHeaderName reports whether a header name has only letters, digits and hyphens. Many
// upstreams read X_User or X.User as X-User, which would bypass a check of that header.
func isPlainHeaderName(name string) bool {
	for i := range len(name) {
		if c := name[i]; !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-') {
			return false
		}
	}
	return true
}

// isConnectionHeader reports whether a header is hop-by-hop (RFC 9110, 7.6.1), or could be read
// as the setting of a proxy (CVE-2016-5385).
func isConnectionHeader(name string) bool {
	return name == "Proxy" || name == "Http2-Settings" || httpheader.IsHopByHop(name)
}

// isForwardingHeader reports whether a header says where a request came from or what it was
// for, which callers must not set.
func isForwardingHeader(name string) bool {
	switch name {
	case "Forwarded", "X-Real-Ip", "X-Client-Ip", "True-Client-Ip", "X-Original-Url", "X-Original-Host", "X-Rewrite-Url", "Jobhub-Attempt":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded-") || name == "X-Forwarded"
}

// isKey reports whether the last word of a header's value is a key or token of the hub.
func isKey(value string) bool {
	words := strings.Fields(value)
	return len(words) > 0 && (strings.HasPrefix(words[len(words)-1], "jh_") || strings.HasPrefix(words[len(words)-1], "jht_"))
}

// hideCredentials removes the caller's credentials for the hub: keys and tokens, in any header,
// and the dashboard's cookies. Another Authorization is meant for the upstream.
func hideCredentials(h http.Header) {
	maps.DeleteFunc(h, func(_ string, values []string) bool { return slices.ContainsFunc(values, isKey) })
	h.Del("Sec-Websocket-Protocol") // it may hold a token; package upgrade passes the others on
	lines := h["Cookie"]            // a copy, made by outgoing
	for i := 0; i < len(lines); i++ {
		if !strings.Contains(lines[i], "jobhub") {
			continue
		}
		var kept []string
		for pair := range strings.SplitSeq(lines[i], ";") {
			if !isHubCookie(pair) {
				kept = append(kept, strings.TrimSpace(pair))
			}
		}
		lines[i] = strings.Join(kept, "; ")
	}
	if len(lines) > 0 && strings.Join(lines, "") == "" {
		h.Del("Cookie")
	}
}

// isHubCookie reports whether a cookie, as name=value, has one of the hub's names.
func isHubCookie(pair string) bool {
	name, _, _ := strings.Cut(strings.TrimSpace(pair), "=")
	name = strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(strings.TrimSpace(name)), "__host-"), "__secure-")
	return strings.HasPrefix(name, "jobhub")
}

// IsHubHeader reports whether a response header, in its canonical form, is reserved for the
// hub: with it clients distinguish the hub's answers about a job from those of an upstream.
func IsHubHeader(name string) bool {
	return name == "Asyncresult" || name == "Idempotency-Replayed" || strings.HasPrefix(name, "Jobhub-")
}

// DropHubCookies removes from an upstream's answer the cookies that would replace those of the
// dashboard.
func DropHubCookies(h http.Header) {
	lines := h["Set-Cookie"]
	if !slices.ContainsFunc(lines, isHubCookie) {
		return
	}
	if kept := slices.DeleteFunc(slices.Clone(lines), isHubCookie); len(kept) > 0 {
		h["Set-Cookie"] = kept
	} else {
		h.Del("Set-Cookie")
	}
}
