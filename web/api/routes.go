package api

import (
	"net/http"

	"jobhub/jobs/engine"
	"jobhub/web/auth"
)

// Routes returns the endpoints of the JSON API with the action that each needs. Tokens can use
// those with MayJob only.
func (s *Server) Routes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"POST /v1/jobs":              s.Limited(auth.Submit, s.submit),
		"GET /v1/jobs":               s.May(auth.Watch, s.listJobs),
		"GET /v1/jobs/{id}":          s.MayJob(auth.Watch, s.getJob),
		"GET /v1/jobs/{id}/response": s.MayJob(auth.Watch, s.getResponse),
		"POST /v1/jobs/{id}/cancel":  s.MayJob(auth.Cancel, s.cancel),
		"DELETE /v1/jobs/{id}":       s.MayJob(auth.Cancel, s.cancel),
		"POST /v1/jobs/{id}/retry":   s.MayJob(auth.Submit, s.retry),
		"PATCH /v1/jobs/{id}":        s.MayJob(auth.Submit, s.patchJob),
		"POST /v1/jobs/{id}/run":     s.MayJob(auth.Submit, s.runJob),
		"POST /v1/jobs/{id}/delete":  s.MayJob(auth.Operate, s.deleteJob),

		"POST /v1/jobs:bulk": s.May(auth.Operate, s.bulk),

		"GET /v1/schedules":           s.May(auth.Watch, s.listSchedules),
		"GET /v1/schedules/{name}":    s.May(auth.Watch, s.getSchedule),
		"PUT /v1/schedules/{name}":    s.May(auth.Operate, s.putSchedule),
		"DELETE /v1/schedules/{name}": s.May(auth.Operate, s.deleteSchedule),

		"GET /v1/queues":                s.May(auth.Watch, s.listQueues),
		"GET /v1/queues/{name}":         s.May(auth.Watch, s.getQueue),
		"PATCH /v1/queues/{name}":       s.May(auth.Operate, s.patchQueue),
		"POST /v1/queues/{name}/pause":  s.May(auth.Operate, s.pauseQueue),
		"POST /v1/queues/{name}/resume": s.May(auth.Operate, s.resumeQueue),

		"POST /v1/workers":                 s.May(auth.Work, s.workers.register),
		"GET /v1/workers":                  s.May(auth.Watch, s.workers.listWorkers),
		"DELETE /v1/workers/{id}":          s.May(auth.Work, s.workers.unregister),
		"POST /v1/workers/{id}/lease":      s.May(auth.Work, s.workers.leaseJobs),
		"POST /v1/workers/{id}/beat":       s.May(auth.Work, s.workers.beat),
		"POST /v1/workers/{id}/quiet":      s.May(auth.Operate, s.workers.setDirective(engine.DirectiveQuiet)),
		"POST /v1/workers/{id}/terminate":  s.May(auth.Operate, s.workers.setDirective(engine.DirectiveTerminate)),
		"POST /v1/leases/{token}/events":   s.May(auth.Work, s.workers.report),
		"POST /v1/leases/{token}/complete": s.May(auth.Work, s.workers.complete),
		"POST /v1/leases/{token}/fail":     s.May(auth.Work, s.workers.failAttempt),
		"POST /v1/leases/{token}/snooze":   s.May(auth.Work, s.workers.snooze),
		"POST /v1/leases/{token}/release":  s.May(auth.Work, s.workers.release),

		"POST /v1/keys":        s.May(auth.Administer, s.createKey),
		"GET /v1/keys":         s.May(auth.Administer, s.listKeys),
		"GET /v1/keys/{id}":    s.May(auth.Administer, s.getKey),
		"PATCH /v1/keys/{id}":  s.May(auth.Administer, s.patchKey),
		"DELETE /v1/keys/{id}": s.May(auth.Administer, s.deleteKey),

		"POST /v1/tokens": s.May(auth.Watch, s.createToken),

		"GET /healthz": s.Public(s.healthz),
		"GET /readyz":  s.Public(s.readyz),
	}
}
