package web

import (
	"net/http"
	"slices"
	"strings"
)

// exposedHeaders are the headers that scripts of listed origins may read, besides those that
// they always may.
const exposedHeaders = "AsyncResult, Idempotency-Replayed, Link, Location, Operation-Location, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After"

// cors tells browsers that pages of a listed origin may use the hub (Fetch, 3.3). Of a
// preflight it is the whole answer, and true. Credentials are not allowed for: such pages
// show a key or token, never the dashboard's cookie.
func (s *Server) cors(w http.ResponseWriter, r *http.Request) (done bool) {
	origins := s.Settings().Origins
	if len(origins) == 0 {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if !slices.Contains(origins, origin) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		h.Set("Access-Control-Expose-Headers", exposedHeaders)
		return false
	}
	h.Add("Vary", "Access-Control-Request-Method, Access-Control-Request-Headers")
	h.Set("Access-Control-Allow-Methods", r.Header.Get("Access-Control-Request-Method"))
	if names := r.Header.Get("Access-Control-Request-Headers"); names != "" {
		h.Set("Access-Control-Allow-Headers", names)
	}
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// routeCORS is what cors says, for the answer of an upstream: it takes the place of what
// the upstream said itself. Nil if the request is of no listed origin.
func (s *Server) routeCORS(w http.ResponseWriter) func(http.Header) {
	origin := w.Header().Get("Access-Control-Allow-Origin")
	vary := w.Header().Get("Vary")
	if vary == "" {
		return nil
	}
	return func(h http.Header) {
		h.Add("Vary", vary)
		if origin == "" {
			return
		}
		for name := range h {
			if strings.HasPrefix(name, "Access-Control-") {
				delete(h, name)
			}
		}
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", "*")
	}
}
