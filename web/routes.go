package web

import (
	"net/http"

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
		"GET /v1/queues":             s.listQueues,
		"GET /v1/ws":                 s.socket,

		"GET /healthz": s.healthz,
		"GET /readyz":  s.readyz,

		"GET /{$}":               s.overviewPage,
		"GET /jobs/{id}":         s.jobPage,
		"POST /jobs/{id}/cancel": s.cancelForm,
		"GET /static/":           s.staticFiles,
	} {
		s.mux.HandleFunc(pattern, handler)
	}
	s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, jobs.NewProblem(jobs.NotFound, "Not found", "There is nothing at %s.", r.URL.Path))
	})
}
