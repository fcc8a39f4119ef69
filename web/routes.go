package web

import (
	"maps"
	"net/http"
	"strings"

	"jobhub/jobs"
	"jobhub/web/stages"
)

// ownRoutes returns all handlers of the hub's own paths, by http.ServeMux pattern.
func (s *Server) ownRoutes() map[string]http.HandlerFunc {
	all := map[string]http.HandlerFunc{}
	for _, part := range []map[string]http.HandlerFunc{s.api.Routes(), s.batch.Routes(), s.live.Routes(), s.docs.Routes(), s.pages.Routes(), s.catalog.Routes(), s.explainRoutes(), s.usageRoutes()} {
		maps.Copy(all, part)
	}
	return all
}

// registerRoutes fills mux and ownPaths.
func (s *Server) registerRoutes() {
	seen := map[string]bool{}
	for pattern, handler := range s.ownRoutes() {
		s.mux.HandleFunc(pattern, handler)
		if path := pathOf(pattern); !seen[path] {
			seen[path] = true
			s.ownPaths.HandleFunc(path, handler)
		}
	}
	s.mux.HandleFunc("/", s.notFound)
}

// pathOf returns a pattern without its method.
func pathOf(pattern string) string { return pattern[strings.IndexByte(pattern, '/'):] }

// notFound answers requests that no pattern matches: with 405 and the allowed methods if the
// path exists for others, else with 404.
func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if _, pattern := s.mux.Handler(&http.Request{Method: method, Host: r.Host, URL: r.URL}); pattern != "/" {
			allowed = append(allowed, method)
		}
	}
	err := jobs.NewProblem(jobs.NotFound, "Not found", "There is nothing at %s.", r.URL.Path)
	if len(allowed) > 0 {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		err = &jobs.Problem{Type: "urn:jobhub:problem:unsupported", Title: "Method not allowed", Code: jobs.Unsupported, Status: http.StatusMethodNotAllowed,
			Detail: r.URL.Path + " does not take " + r.Method + "; see Allow."}
	}
	rec := stages.Of(r.Context())
	rec.Route = ""
	rec.Refuse(stages.Match, err)
	if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") { // a person with a browser
		s.pages.FailPage(w, r, err)
		return
	}
	s.Fail(w, r, err)
}
