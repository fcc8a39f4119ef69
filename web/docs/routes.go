package docs

import "net/http"

// Routes returns the handlers of the documentation.
func (s *Server) Routes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /openapi.json":  s.Public(s.openapi),
		"GET /asyncapi.json": s.Public(s.asyncapi),
		"GET /docs":          s.pages.Anybody(s.docsPage),
		"GET /docs/{page}":   s.pages.Anybody(s.docsPage),
	}
}
