package web

import (
	"net/http"
	"strings"

	"jobhub/jobs"
)

// routes is the table of all there is to ask for.
func (s *Server) routes() {
	for pattern, handler := range map[string]http.HandlerFunc{
		"POST /v1/jobs":              s.submit,
		"GET /v1/jobs":               s.listJobs,
		"GET /v1/jobs/{id}":          s.getJob,
		"GET /v1/jobs/{id}/response": s.getResponse,
		"POST /v1/jobs/{id}/cancel":  s.cancel,
		"DELETE /v1/jobs/{id}":       s.cancel,
		"POST /v1/jobs/{id}/retry":   s.retry,

		"POST /v1/jobs:bulk": s.bulk,
		"POST /v1/batch":     s.postBatch,
		"POST /batch":        s.postBatch,

		"GET /v1/schedules":           s.listSchedules,
		"GET /v1/schedules/{name}":    s.getSchedule,
		"PUT /v1/schedules/{name}":    s.putSchedule,
		"DELETE /v1/schedules/{name}": s.deleteSchedule,

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
	} {
		s.mux.HandleFunc(pattern, handler)
	}
	s.mux.HandleFunc("/", s.nothing)
}

// nothing answers what no route takes: with the methods that the path knows, if any.
func (s *Server) nothing(w http.ResponseWriter, r *http.Request) {
	var known []string
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
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
