package pages

import (
	"net/http"

	"jobhub/jobs/engine"
	"jobhub/web/auth"
	"jobhub/web/catalog"
)

// Routes returns the handlers of the dashboard, with the permission that each needs.
func (s *Server) Routes() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /{$}":                             s.mayPage(auth.Watch, s.overviewPage),
		"GET /jobs":                            s.mayPage(auth.Watch, s.tables.jobsPage),
		"GET /jobs/export.csv":                 s.mayPage(auth.Watch, s.tables.export("text/csv; charset=utf-8; header=present", "jobs.csv", csvRows)),
		"GET /jobs/export.ndjson":              s.mayPage(auth.Watch, s.tables.export("application/x-ndjson", "jobs.ndjson", ndjson)),
		"POST /jobs/bulk":                      s.mayPage(auth.Watch, s.tables.bulkForm), // bulkForm checks the permission for the action itself
		"GET /jobs/{id}":                       s.mayPage(auth.Watch, s.jobs.jobPage),
		"GET /jobs/{id}/edit":                  s.mayPage(auth.Submit, s.jobs.editPage),
		"POST /jobs/{id}/cancel":               s.mayPage(auth.Cancel, s.jobs.cancelForm),
		"POST /jobs/{id}/retry":                s.mayPage(auth.Submit, s.jobs.retryForm),
		"POST /jobs/{id}/run":                  s.mayPage(auth.Submit, s.jobs.runForm),
		"GET /jobs/{id}/change":                s.mayPage(auth.Submit, s.jobs.changePage),
		"POST /jobs/{id}/change":               s.mayPage(auth.Submit, s.jobs.changeForm),
		"POST /jobs/{id}/delete":               s.mayPage(auth.Operate, s.jobs.deleteForm),
		"GET /batches":                         s.mayPage(auth.Watch, s.batches.batchesPage),
		"GET /batches/{id}":                    s.mayPage(auth.Watch, s.batches.batchPage),
		"POST /batches/{id}/cancel":            s.mayPage(auth.Cancel, s.batches.cancelBatchForm),
		"POST /batches/{id}/retry":             s.mayPage(auth.Submit, s.batches.retryBatchForm),
		"GET /routes":                          s.inside(s.routes.routesPage),
		"GET /queues":                          s.mayPage(auth.Watch, s.queues.queuesPage),
		"GET /queues/{name}":                   s.mayPage(auth.Watch, s.queues.queuePage),
		"POST /queues/{name}":                  s.mayPage(auth.Operate, s.queues.limitsForm),
		"POST /queues/{name}/pause":            s.mayPage(auth.Operate, s.queues.pauseForm),
		"POST /queues/{name}/resume":           s.mayPage(auth.Operate, s.queues.resumeForm),
		"GET /catalog":                         s.mayCatalog(s.catalog.catalogPage),
		"GET /catalog/{api}":                   s.mayCatalog(s.catalog.apiPage),
		"GET /catalog/{api}/{version}":         s.mayCatalog(s.catalog.versionPage),
		"POST /catalog/{api}/{version}/access": s.mayCatalog(s.catalog.askForm),
		"GET /access":                          s.mayCatalog(s.catalog.accessPage),
		"POST /access/{id}/approve":            s.mayCatalog(s.catalog.decideForm(catalog.Active)),
		"POST /access/{id}/reject":             s.mayCatalog(s.catalog.decideForm(catalog.Rejected)),
		"POST /access/{id}/suspend":            s.mayCatalog(s.catalog.decideForm(catalog.Suspended)),
		"GET /workers":                         s.mayPage(auth.Watch, s.queues.workersPage),
		"POST /workers/{id}/quiet":             s.mayPage(auth.Operate, s.queues.directForm(engine.DirectiveQuiet)),
		"POST /workers/{id}/terminate":         s.mayPage(auth.Operate, s.queues.directForm(engine.DirectiveTerminate)),
		"GET /hub":                             s.inside(s.queues.hubPage),
		"GET /login":                           s.open(s.loginPage),
		"POST /login":                          s.open(s.login),
		"POST /logout":                         s.open(s.logout),
		"GET /static/":                         s.open(s.staticFiles),
		"GET /schedules":                       s.mayPage(auth.Watch, s.schedules.schedulesPage),
		"POST /schedules":                      s.mayPage(auth.Operate, s.schedules.makeScheduleForm),
		"GET /schedules/{name}":                s.mayPage(auth.Watch, s.schedules.schedulePage),
		"POST /schedules/{name}":               s.mayPage(auth.Operate, s.schedules.changeScheduleForm),
		"POST /schedules/{name}/run":           s.mayPage(auth.Operate, s.schedules.runScheduleForm),
		"POST /schedules/{name}/pause":         s.mayPage(auth.Operate, s.schedules.pauseSchedule(true)),
		"POST /schedules/{name}/resume":        s.mayPage(auth.Operate, s.schedules.pauseSchedule(false)),
		"POST /schedules/{name}/delete":        s.mayPage(auth.Operate, s.schedules.deleteScheduleForm),
		"GET /callbacks":                       s.mayPage(auth.Watch, s.callbacks.callbacksPage),
		"POST /callbacks/enable":               s.mayPage(auth.Operate, s.callbacks.enableCallbackForm),
		"GET /jobs/{id}/output":                s.mayPage(auth.Watch, s.jobs.jobOutput),
		"GET /jobs/{id}/input":                 s.mayPage(auth.Watch, s.jobs.jobPayload("input", inputOf)),
		"GET /jobs/{id}/result":                s.mayPage(auth.Watch, s.jobs.jobPayload("result", resultOf)),
	}
}
