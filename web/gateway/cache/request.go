package cache

import (
	"net/http"
	"strings"
)

// isSafe reports whether a method changes nothing (RFC 9110, 9.2.1).
func isSafe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// bypass returns why a request is not for the cache, as the parameter fwd of Cache-Status; empty
// if it is.
func bypass(req *http.Request, d directives) string {
	if req.Method != http.MethodGet && req.Method != http.MethodHead {
		return "method"
	}
	if d.noStore {
		return "request"
	}
	if req.Body != nil && req.Body != http.NoBody || req.ContentLength != 0 {
		return "bypass" // the body is not part of the key
	}
	for name := range req.Header {
		switch name {
		case "Range":
			return "partial"
		case "If-Match", "If-Unmodified-Since", "If-Range", "Upgrade":
			return "bypass"
		case "X-Http-Method-Override", "X-Http-Method", "X-Method-Override": // to the upstream it may be unsafe
			return "bypass"
		}
	}
	return ""
}

// requestDirectives returns the directives of a request. Pragma counts where there is no
// Cache-Control (RFC 9111, 5.4).
func requestDirectives(h http.Header) directives {
	d := parseDirectives(h)
	if d.given {
		return d
	}
	for _, line := range h["Pragma"] {
		for item := range listItems(line) {
			d.noCache = d.noCache || strings.EqualFold(item, "no-cache")
		}
	}
	return d
}

// conditional reports whether a request has conditions that the cache can answer.
func conditional(h http.Header) bool {
	return len(h["If-None-Match"]) > 0 || len(h["If-Modified-Since"]) > 0
}
