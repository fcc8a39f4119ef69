package web

import "strings"

// commandsBrowser reports whether a header of an answer tells browsers, caches or clients
// what to do with the host that it comes from. Outside of routes the hub's own host never
// passes such a header on: whoever submits a job could choose it.
func commandsBrowser(name string) bool {
	switch name {
	case "Set-Cookie", "Set-Cookie2", "Set-Login", "Clear-Site-Data", "Refresh", "Link",
		"Strict-Transport-Security", "Public-Key-Pins", "Public-Key-Pins-Report-Only", "Expect-Ct",
		"Www-Authenticate", "Proxy-Authenticate", "Authentication-Info", "Proxy-Authentication-Info",
		"Nel", "Report-To", "Reporting-Endpoints", "Alt-Svc", "Service-Worker-Allowed", "Service-Worker-Navigation-Preload", "Sourcemap", "X-Sourcemap",
		"Cache-Control", "Cdn-Cache-Control", "Surrogate-Control", "Expires", "Age", "Pragma", "Content-Disposition",
		"Content-Security-Policy", "Content-Security-Policy-Report-Only", "Permissions-Policy", "Feature-Policy", "Referrer-Policy",
		"Document-Policy", "Origin-Agent-Cluster", "Origin-Trial", "Accept-Ch", "Critical-Ch", "Supports-Loading-Mode", "Speculation-Rules",
		"X-Frame-Options", "X-Ua-Compatible", "X-Dns-Prefetch-Control", "X-Accel-Redirect", "X-Accel-Expires", "X-Accel-Buffering", "X-Sendfile", "No-Vary-Search",
		"Use-As-Dictionary", "Available-Dictionary", "Activate-Storage-Access", "Timing-Allow-Origin", "Observe-Browsing-Topics":
		return true
	}
	for _, prefix := range []string{"Access-Control-", "Cross-Origin-", "Sec-", "Attribution-Reporting-", "Ad-Auction-", "X-Permitted-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
