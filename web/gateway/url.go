package gateway

import (
	"net/url"
	"strings"

	"jobhub/jobs/egress"
)

// upstreamURL is the URL at an upstream of a request for u: the path as it came, but for the
// prefix to strip, behind that of the upstream; the query as it came, but for async
// and for what may not stand in a URL.
func upstreamURL(upstream *url.URL, strip string, u *url.URL, ours bool) *url.URL {
	rest := u.EscapedPath()
	if strip = strings.TrimSuffix(strip, "/"); strip != "" {
		rest = strings.TrimPrefix(rest, strip)
	}
	if !strings.HasPrefix(rest, "/") {
		rest = "/" + rest
	}
	raw := strings.TrimSuffix(upstream.EscapedPath(), "/") + rest
	to := &url.URL{Scheme: upstream.Scheme, Host: upstream.Host, Path: raw, RawPath: raw, RawQuery: u.RawQuery, ForceQuery: u.ForceQuery}
	if decoded, err := url.PathUnescape(raw); err == nil {
		to.Path = decoded
	}
	if ours {
		to.RawQuery, _ = cutAsync(u.RawQuery)
	}
	to.RawQuery = egress.EscapeQuery(to.RawQuery)
	return to
}

// cutAsync takes the hub's own parameter out of a query and returns its value: true, false
// or empty. With other values the parameter is not the hub's. The rest stays as it is.
func cutAsync(query string) (rest, word string) {
	if !strings.Contains(query, "async") {
		return query, ""
	}
	kept := make([]string, 0, 8)
	for item := range strings.SplitSeq(query, "&") {
		if value, ok := strings.CutPrefix(item, "async="); ok && (value == "true" || value == "false") {
			if word == "" {
				word = value
			}
			continue
		}
		kept = append(kept, item)
	}
	return strings.Join(kept, "&"), word
}

// Query is what the upstream gets of a URL's query.
func Query(u *url.URL) string {
	rest, _ := cutAsync(u.RawQuery)
	return rest
}

// origin is scheme and host of a URL, as jobs.Via has it.
func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }
