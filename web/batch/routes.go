package batch

import (
	"net/http"

	"jobhub/web/auth"
)

// Routes returns the endpoints of batches.
func (s *Server) Routes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"POST /v1/batch": s.May(auth.Submit, s.postBatch),
		"POST /batch":    s.May(auth.Submit, s.postBatch),
	}
}
