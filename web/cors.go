package web

import (
	"net/http"
	"time"

	"jobhub/web/gateway"
	"jobhub/web/stages"
)

// exposedHeaders are the response headers that scripts of listed origins may read, besides the
// CORS-safelisted ones.
const exposedHeaders = "AsyncResult, Deprecation, Idempotency-Replayed, Link, Location, Operation-Location, Preference-Applied, RateLimit, RateLimit-Policy, Retry-After, Sunset"

// corsOf returns which foreign pages may send a request: those that its route names, else those
// of the hub. The latter send a key or token, and no cookies.
func (s *Server) corsOf(route *gateway.Route) *gateway.CORS {
	if route != nil && route.CORS != nil {
		return route.CORS
	}
	return &gateway.CORS{Origins: s.Settings().Origins, Expose: exposedHeaders, MaxAge: 10 * time.Minute}
}

// checkCORS is the stage CORS. It answers a preflight request, and returns true then.
func (s *Server) checkCORS(w http.ResponseWriter, r *http.Request, route *gateway.Route) (done bool, err error) {
	cors, rec := s.corsOf(route), stages.Of(r.Context())
	if err := s.CheckOrigin(r, cors.Allows); err != nil {
		rec.Refuse(stages.CORS, err)
		return false, err
	}
	if cors.Apply(w.Header(), r) {
		rec.Answer(stages.CORS, "a preflight request")
		w.WriteHeader(http.StatusNoContent)
		return true, nil
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		rec.Pass(stages.CORS, "pages of "+origin+" may send it")
	} else {
		rec.Pass(stages.CORS, "not from a page of another origin")
	}
	return false, nil
}
