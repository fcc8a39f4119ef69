package live

import (
	"net/http"

	"jobhub/web/auth"
)

// Routes returns the handlers of live connections, which identify their callers
// themselves, and of metrics.
func (s *Server) Routes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /v1/ws":     s.Public(s.socket),
		"GET /v1/events": s.Public(s.events),
		"GET /metrics":   s.May(auth.Measure, s.serveMetrics),
	}
}
