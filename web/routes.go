package web

import (
	"maps"
	"net/http"
	"strings"

	"jobhub/jobs"
)

// ownRoutes is all there is to ask for, by the pattern of http.ServeMux.
func (s *Server) ownRoutes() map[string]http.HandlerFunc {
	all := map[string]http.HandlerFunc{}
	for _, room := range []map[string]http.HandlerFunc{s.api.Routes(), s.batch.Routes(), s.live.Routes(), s.docs.Routes(), s.pages.Routes()} {
		maps.Copy(all, room)
	}
	return all
}

// registerRoutes sets up the table.
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

// pathOf is a pattern without its method.
func pathOf(pattern string) string { return pattern[strings.IndexByte(pattern, '/'):] }

// notFound answers what no route takes: with the methods that the path knows, if any.
func (s *Server) notFound(w http.ResponseWriter, r *http.Request) {
	var known []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if _, pattern := s.mux.Handler(&http.Request{Method: method, Host: r.Host, URL: r.URL}); pattern != "/" {
			known = append(known, method)
		}
	}
	fail := s.Fail
	if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") { // a person who mistyped
		fail = s.pages.FailPage
	}
	if len(known) == 0 {
		fail(w, r, jobs.NewProblem(jobs.NotFound, "Not found", "There is nothing at %s.", r.URL.Path))
		return
	}
	w.Header().Set("Allow", strings.Join(known, ", "))
	fail(w, r, &jobs.Problem{Type: "urn:jobhub:problem:unsupported", Title: "Method not allowed", Code: jobs.Unsupported, Status: http.StatusMethodNotAllowed,
		Detail: r.URL.Path + " does not take " + r.Method + "; see Allow."})
}
