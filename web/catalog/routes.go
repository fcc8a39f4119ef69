package catalog

import (
	"net/http"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/rest"
)

// Server answers the requests about a catalogue.
type Server struct {
	*rest.Base
	Catalog *Catalog // nil if the hub keeps none
}

// Routes returns the endpoints of the catalogue. Besides keys that may watch, subjects of tokens
// of other issuers can read the catalogue and ask for access; each handler checks what else it
// needs.
func (s *Server) Routes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /v1/apis":           s.reader(s.listAPIs),
		"GET /v1/apis/{name}":    s.reader(s.getAPI),
		"PUT /v1/apis/{name}":    s.reader(s.putAPI),
		"DELETE /v1/apis/{name}": s.reader(s.deleteAPI),

		"GET /v1/apis/{name}/versions/{version}":              s.reader(s.getVersion),
		"PUT /v1/apis/{name}/versions/{version}":              s.reader(s.putVersion),
		"DELETE /v1/apis/{name}/versions/{version}":           s.reader(s.deleteVersion),
		"GET /v1/apis/{name}/versions/{version}/openapi.json": s.reader(s.getDocument),
		"POST /v1/apis/{name}/versions/{version}/diff":        s.reader(s.diffVersion),
		"POST /v1/apis/{name}/versions/{version}/publish":     s.reader(s.publish),
		"POST /v1/apis/{name}/versions/{version}/deprecate":   s.reader(s.deprecate),
		"POST /v1/apis/{name}/versions/{version}/retire":      s.reader(s.retire),

		"POST /v1/access":              s.reader(s.ask),
		"GET /v1/access":               s.reader(s.listAccess),
		"GET /v1/access/{id}":          s.reader(s.getAccess),
		"POST /v1/access/{id}/approve": s.reader(s.decide(Active)),
		"POST /v1/access/{id}/reject":  s.reader(s.decide(Rejected)),
		"POST /v1/access/{id}/suspend": s.reader(s.decide(Suspended)),
	}
}

// ErrNone is the answer of a hub without a catalogue.
var ErrNone error = jobs.Unavailable("No catalogue", "This hub keeps no catalogue of APIs.")

// reader lets callers use a handler that may read the catalogue.
func (s *Server) reader(h rest.Handler) http.HandlerFunc {
	return s.MayOr(auth.Watch, MayAsk, func(w http.ResponseWriter, r *http.Request) error {
		if s.Catalog == nil {
			return ErrNone
		}
		return h(w, r)
	})
}
