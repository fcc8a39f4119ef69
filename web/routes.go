package web

import (
	"net/http"
	"strings"

	"jobhub/jobs"
	"jobhub/web/auth"
)

// table is all there is to ask for, and what a caller must be allowed to do to ask for
// it. Tokens are good for the rows with mayJob alone, and for live connections.
func (s *Server) table() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"POST /v1/jobs":              s.may(auth.Submit, s.submit),
		"GET /v1/jobs":               s.may(auth.Watch, s.listJobs),
		"GET /v1/jobs/{id}":          s.mayJob(auth.Watch, s.getJob),
		"GET /v1/jobs/{id}/response": s.mayJob(auth.Watch, s.getResponse),
		"POST /v1/jobs/{id}/cancel":  s.mayJob(auth.Cancel, s.cancel),
		"DELETE /v1/jobs/{id}":       s.mayJob(auth.Cancel, s.cancel),
		"POST /v1/jobs/{id}/retry":   s.mayJob(auth.Submit, s.retry),
		"PATCH /v1/jobs/{id}":        s.mayJob(auth.Submit, s.patchJob),
		"POST /v1/jobs/{id}/run":     s.mayJob(auth.Submit, s.runJob),
		"POST /v1/jobs/{id}/delete":  s.mayJob(auth.Operate, s.deleteJob),

		"POST /v1/jobs:bulk": s.may(auth.Operate, s.bulk),
		"POST /v1/batch":     s.may(auth.Submit, s.postBatch),
		"POST /batch":        s.may(auth.Submit, s.postBatch),

		"GET /v1/schedules":           s.may(auth.Watch, s.listSchedules),
		"GET /v1/schedules/{name}":    s.may(auth.Watch, s.getSchedule),
		"PUT /v1/schedules/{name}":    s.may(auth.Operate, s.putSchedule),
		"DELETE /v1/schedules/{name}": s.may(auth.Operate, s.deleteSchedule),

		"GET /v1/queues":                s.may(auth.Watch, s.listQueues),
		"GET /v1/queues/{name}":         s.may(auth.Watch, s.getQueue),
		"PATCH /v1/queues/{name}":       s.may(auth.Operate, s.patchQueue),
		"POST /v1/queues/{name}/pause":  s.may(auth.Operate, s.pauseQueue),
		"POST /v1/queues/{name}/resume": s.may(auth.Operate, s.resumeQueue),

		"POST /v1/workers":                 s.may(auth.Work, s.register),
		"GET /v1/workers":                  s.may(auth.Watch, s.listWorkers),
		"DELETE /v1/workers/{id}":          s.may(auth.Work, s.unregister),
		"POST /v1/workers/{id}/lease":      s.may(auth.Work, s.leaseJobs),
		"POST /v1/workers/{id}/beat":       s.may(auth.Work, s.beat),
		"POST /v1/workers/{id}/quiet":      s.may(auth.Operate, s.direct(jobs.DirectiveQuiet)),
		"POST /v1/workers/{id}/terminate":  s.may(auth.Operate, s.direct(jobs.DirectiveTerminate)),
		"POST /v1/leases/{token}/events":   s.may(auth.Work, s.reports),
		"POST /v1/leases/{token}/complete": s.may(auth.Work, s.complete),
		"POST /v1/leases/{token}/fail":     s.may(auth.Work, s.failAttempt),
		"POST /v1/leases/{token}/snooze":   s.may(auth.Work, s.snooze),
		"POST /v1/leases/{token}/release":  s.may(auth.Work, s.release),

		"POST /v1/tokens": s.may(auth.Watch, s.createToken),

		"GET /v1/ws":     s.socket, // which identifies its callers itself
		"GET /v1/events": s.events,

		"GET /healthz": s.healthz,
		"GET /readyz":  s.readyz,
		"GET /metrics": s.may(auth.Measure, s.serveMetrics),

		"GET /openapi.json":  s.openapi,
		"GET /asyncapi.json": s.asyncapi,
		"GET /docs":          s.anybody(s.docsPage),
		"GET /docs/{page}":   s.anybody(s.docsPage),

		"GET /{$}":                      s.mayPage(auth.Watch, s.overviewPage),
		"GET /jobs":                     s.mayPage(auth.Watch, s.jobsPage),
		"GET /jobs/export.csv":          s.mayPage(auth.Watch, s.export("text/csv; charset=utf-8; header=present", "jobs.csv", csvRows)),
		"GET /jobs/export.ndjson":       s.mayPage(auth.Watch, s.export("application/x-ndjson", "jobs.ndjson", ndjson)),
		"POST /jobs/bulk":               s.mayPage(auth.Watch, s.bulkForm), // which looks at what is to be done
		"GET /jobs/{id}":                s.mayPage(auth.Watch, s.jobPage),
		"GET /jobs/{id}/edit":           s.mayPage(auth.Submit, s.editPage),
		"POST /jobs/{id}/cancel":        s.mayPage(auth.Cancel, s.cancelForm),
		"POST /jobs/{id}/retry":         s.mayPage(auth.Submit, s.retryForm),
		"POST /jobs/{id}/run":           s.mayPage(auth.Submit, s.runForm),
		"GET /jobs/{id}/change":         s.mayPage(auth.Submit, s.changePage),
		"POST /jobs/{id}/change":        s.mayPage(auth.Submit, s.changeForm),
		"POST /jobs/{id}/delete":        s.mayPage(auth.Operate, s.deleteForm),
		"GET /batches":                  s.mayPage(auth.Watch, s.batchesPage),
		"GET /batches/{id}":             s.mayPage(auth.Watch, s.batchPage),
		"POST /batches/{id}/cancel":     s.mayPage(auth.Cancel, s.cancelBatchForm),
		"POST /batches/{id}/retry":      s.mayPage(auth.Submit, s.retryBatchForm),
		"GET /routes":                   s.inside(s.routesPage),
		"GET /queues":                   s.mayPage(auth.Watch, s.queuesPage),
		"GET /queues/{name}":            s.mayPage(auth.Watch, s.queuePage),
		"POST /queues/{name}":           s.mayPage(auth.Operate, s.limitsForm),
		"POST /queues/{name}/pause":     s.mayPage(auth.Operate, s.pauseForm),
		"POST /queues/{name}/resume":    s.mayPage(auth.Operate, s.resumeForm),
		"GET /workers":                  s.mayPage(auth.Watch, s.workersPage),
		"POST /workers/{id}/quiet":      s.mayPage(auth.Operate, s.directForm(jobs.DirectiveQuiet)),
		"POST /workers/{id}/terminate":  s.mayPage(auth.Operate, s.directForm(jobs.DirectiveTerminate)),
		"GET /hub":                      s.inside(s.hubPage),
		"GET /login":                    s.loginPage,
		"POST /login":                   s.login,
		"POST /logout":                  s.logout,
		"GET /static/":                  s.staticFiles,
		"GET /schedules":                s.mayPage(auth.Watch, s.schedulesPage),
		"POST /schedules":               s.mayPage(auth.Operate, s.makeScheduleForm),
		"GET /schedules/{name}":         s.mayPage(auth.Watch, s.schedulePage),
		"POST /schedules/{name}":        s.mayPage(auth.Operate, s.changeScheduleForm),
		"POST /schedules/{name}/run":    s.mayPage(auth.Operate, s.runScheduleForm),
		"POST /schedules/{name}/pause":  s.mayPage(auth.Operate, s.pauseSchedule(true)),
		"POST /schedules/{name}/resume": s.mayPage(auth.Operate, s.pauseSchedule(false)),
		"POST /schedules/{name}/delete": s.mayPage(auth.Operate, s.deleteScheduleForm),
		"GET /callbacks":                s.mayPage(auth.Watch, s.callbacksPage),
		"POST /callbacks/enable":        s.mayPage(auth.Operate, s.enableCallbackForm),
		"GET /jobs/{id}/output":         s.mayPage(auth.Watch, s.jobOutput),
		"GET /jobs/{id}/input":          s.mayPage(auth.Watch, s.jobPayload("input", inputOf)),
		"GET /jobs/{id}/result":         s.mayPage(auth.Watch, s.jobPayload("result", resultOf)),
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
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if _, pattern := s.mux.Handler(&http.Request{Method: method, Host: r.Host, URL: r.URL}); pattern != "/" {
			known = append(known, method)
		}
	}
	fail := s.fail
	if r.Method == http.MethodGet && strings.Contains(r.Header.Get("Accept"), "text/html") { // a person who mistyped
		fail = s.failPage
	}
	if len(known) == 0 {
		fail(w, r, jobs.NewProblem(jobs.NotFound, "Not found", "There is nothing at %s.", r.URL.Path))
		return
	}
	w.Header().Set("Allow", strings.Join(known, ", "))
	fail(w, r, &jobs.Problem{Type: "urn:jobhub:problem:unsupported", Title: "Method not allowed", Code: jobs.Unsupported, Status: http.StatusMethodNotAllowed,
		Detail: r.URL.Path + " does not take " + r.Method + "; see Allow."})
}
