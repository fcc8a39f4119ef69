package web

import (
	"net/http"
	"slices"
	"strings"
)

// exposedHeaders are the response headers that scripts of listed origins may read, besides the
// CORS-safelisted ones.
const exposedHeaders = "AsyncResult, Idempotency-Replayed, Link, Location, Operation-Location, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After"

// cors sets the headers that let pages of a listed origin use the hub (Fetch, 3.3). It answers
// a preflight request completely, and returns true then. It does not allow cookies: such
// pages send a key or token.
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

// routeCORS returns a function that replaces the CORS headers of an upstream's answer by the
// hub's, which cors has set in w; nil if no origins are listed.
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
