package gateway

import (
	"net/url"
	"strings"

	"jobhub/jobs/egress"
)

// upstreamURL returns the URL at an upstream for a request of u: the upstream's path, then the
// path of u without the prefix strip; and the query of u, with characters escaped that a URL
// must not have. cut says whether to remove the parameter async.
func upstreamURL(upstream *url.URL, strip string, u *url.URL, cut bool) *url.URL {
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
	if cut {
		to.RawQuery, _ = cutAsync(u.RawQuery)
	}
	to.RawQuery = egress.EscapeQuery(to.RawQuery)
	return to
}

// cutAsync removes the hub's parameter async from a query, and returns its value: true, false
// or empty. With another value it is not the hub's parameter, and stays.
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

// Query returns the query that the upstream gets.
func Query(u *url.URL) string {
	rest, _ := cutAsync(u.RawQuery)
	return rest
}

// origin returns scheme and host of a URL, as in jobs.Via.
func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }
