package web

import (
	"net/http"
	"strings"

	"jobhub/jobs"
)

// table is all there is to ask for.
func (s *Server) table() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"POST /v1/jobs":              s.submit,
		"GET /v1/jobs":               s.listJobs,
		"GET /v1/jobs/{id}":          s.getJob,
		"GET /v1/jobs/{id}/response": s.getResponse,
		"POST /v1/jobs/{id}/cancel":  s.cancel,
		"DELETE /v1/jobs/{id}":       s.cancel,
		"POST /v1/jobs/{id}/retry":   s.retry,

		"GET /v1/queues":                s.listQueues,
		"GET /v1/queues/{name}":         s.getQueue,
		"PATCH /v1/queues/{name}":       s.patchQueue,
		"POST /v1/queues/{name}/pause":  s.pauseQueue,
		"POST /v1/queues/{name}/resume": s.resumeQueue,

		"POST /v1/workers":                 s.register,
		"GET /v1/workers":                  s.listWorkers,
		"DELETE /v1/workers/{id}":          s.unregister,
		"POST /v1/workers/{id}/lease":      s.leaseJobs,
		"POST /v1/workers/{id}/beat":       s.beat,
		"POST /v1/workers/{id}/quiet":      s.direct(jobs.Quiet),
		"POST /v1/workers/{id}/terminate":  s.direct(jobs.Terminate),
		"POST /v1/leases/{token}/events":   s.reports,
		"POST /v1/leases/{token}/complete": s.complete,
		"POST /v1/leases/{token}/fail":     s.failAttempt,
		"POST /v1/leases/{token}/snooze":   s.snooze,
		"POST /v1/leases/{token}/release":  s.release,

		"GET /v1/ws": s.socket,

		"GET /healthz": s.healthz,
		"GET /readyz":  s.readyz,

		"GET /{$}":               s.overviewPage,
		"GET /jobs/{id}":         s.jobPage,
		"POST /jobs/{id}/cancel": s.cancelForm,
		"POST /jobs/{id}/retry":  s.retryForm,
		"GET /static/":           s.staticFiles,
	}
}

// routes sets up the table.
func (s *Server) routes() {
	seen := map[string]bool{}
	for pattern, handler := range s.table() {
		s.mux.HandleFunc(pattern, handler)
		if path := pathOf(pattern); !seen[path] {
			seen[path] = true
			s.own.HandleFunc(path, handler)
		}
	}
	s.mux.HandleFunc("/", s.nothing)
}

// pathOf is a pattern without its method.
func pathOf(pattern string) string { return pattern[strings.IndexByte(pattern, '/'):] }

// nothing answers what no route takes: with the methods that the path knows, if any.
func (s *Server) nothing(w http.ResponseWriter, r *http.Request) {
	var known []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		if _, pattern := s.mux.Handler(&http.Request{Method: method, Host: r.Host, URL: r.URL}); pattern != "/" {
			known = append(known, method)
		}
	}
	if len(known) == 0 {
		s.fail(w, r, jobs.NewProblem(jobs.NotFound, "Not found", "There is nothing at %s.", r.URL.Path))
		return
	}
	w.Header().Set("Allow", strings.Join(known, ", "))
	s.fail(w, r, &jobs.Problem{Type: "urn:jobhub:problem:unsupported", Title: "Method not allowed", Code: jobs.Unsupported, Status: http.StatusMethodNotAllowed,
		Detail: r.URL.Path + " does not take " + r.Method + "; see Allow."})
}
