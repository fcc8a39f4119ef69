package gateway

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CORS says which pages of other origins may send requests (Fetch, 3.3).
type CORS struct {
	Origins     []string // like https://app.example.com, or * for all
	Methods     []string // empty for all
	Headers     []string // that they may send; empty for all
	Expose      string   // response headers that they may read; * for all
	Credentials bool     // with cookies and other credentials of the browser; not with *
	MaxAge      time.Duration
}

// Allows reports whether pages of an origin may send requests. A nil CORS allows none.
func (c *CORS) Allows(origin string) bool {
	return c != nil && origin != "" && (slices.Contains(c.Origins, origin) || slices.Contains(c.Origins, "*"))
}

// Apply sets the headers that let the page that sends a request read the answer. It returns true
// for a preflight request, whose answer has no body. Such a request is recognised also
// if its origin, method or headers are not allowed: without the headers the browser stops.
func (c *CORS) Apply(h http.Header, r *http.Request) (preflight bool) {
	if c == nil || len(c.Origins) == 0 {
		return false
	}
	any := slices.Contains(c.Origins, "*")
	if !any {
		h.Add("Vary", "Origin")
	}
	origin := r.Header.Get("Origin")
	if !c.Allows(origin) {
		return false
	}
	if any {
		origin = "*"
	}
	h.Set("Access-Control-Allow-Origin", origin)
	if c.Credentials {
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	method := r.Header.Get("Access-Control-Request-Method")
	if r.Method != http.MethodOptions || method == "" {
		if c.Expose != "" {
			h.Set("Access-Control-Expose-Headers", c.Expose)
		}
		return false
	}
	h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	if len(c.Methods) > 0 {
		method = strings.Join(c.Methods, ", ")
	}
	h.Set("Access-Control-Allow-Methods", method)
	names := r.Header.Get("Access-Control-Request-Headers")
	if len(c.Headers) > 0 {
		names = strings.Join(c.Headers, ", ")
	}
	if names != "" {
		h.Set("Access-Control-Allow-Headers", names)
	}
	h.Set("Access-Control-Max-Age", strconv.Itoa(int(c.MaxAge.Seconds())))
	return true
}

// ReplaceIn replaces the CORS headers of an upstream's answer by those that Apply has set in from.
func (c *CORS) ReplaceIn(h, from http.Header) {
	if c == nil || len(c.Origins) == 0 {
		return
	}
	for _, vary := range from["Vary"] {
		h.Add("Vary", vary)
	}
	if from.Get("Access-Control-Allow-Origin") == "" {
		return
	}
	upstream := h.Get("Access-Control-Expose-Headers")
	for name := range h {
		if strings.HasPrefix(name, "Access-Control-") {
			delete(h, name)
		}
	}
	for name, values := range from {
		if strings.HasPrefix(name, "Access-Control-") {
			h[name] = values
		}
	}
	if !c.Credentials { // with credentials, * means a header of that name
		h.Set("Access-Control-Expose-Headers", "*")
	} else if upstream != "" {
		h.Set("Access-Control-Expose-Headers", upstream)
	}
}
