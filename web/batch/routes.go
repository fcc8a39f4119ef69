package batch

import (
	"net/http"

	"jobhub/web/auth"
)

// Routes are where batches are sent.
func (s *Server) Routes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"POST /v1/batch": s.May(auth.Submit, s.postBatch),
		"POST /batch":    s.May(auth.Submit, s.postBatch),
	}
}
