package pages

import (
	"context"
	"strings"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/rest"
	"jobhub/web/view"
)

// liveView is the live part of a page; the hub draws it once for all viewers of a tenant.
type liveView struct {
	may  auth.Action // who may watch it
	find func(ctx context.Context, tenant, of string) error
	draw func(ctx context.Context, tenant, of string, last any) (hub.Rendered, error)
}

// liveViews are all views, by their page.
func (s *Server) liveViews() map[string]liveView {
	return map[string]liveView{
		"overview":  {auth.Watch, findRange, s.drawOverview},
		"wall":      {auth.Watch, alone, s.drawWall},
		"jobs":      {auth.Watch, s.tables.findTable, s.tables.renderTable},
		"job":       {auth.Watch, s.jobs.findJob, s.jobs.renderJob},
		"batches":   {auth.Watch, findBatches, s.batches.drawBatches},
		"batch":     {auth.Watch, s.batches.findBatch, s.batches.drawBatch},
		"routes":    {auth.Administer, insideAlone, s.routes.drawRoutes},
		"queues":    {auth.Watch, findQueues, s.queues.drawQueues},
		"queue":     {auth.Watch, s.queues.findQueue, s.queues.drawQueue},
		"workers":   {auth.Watch, alone, s.queues.drawWorkers},
		"hub":       {auth.Administer, insideAlone, s.queues.drawHub},
		"schedules": {auth.Watch, findSchedules, s.schedules.drawSchedules},
		"schedule":  {auth.Watch, s.schedules.findSchedule, s.schedules.drawSchedule},
		"callbacks": {auth.Watch, findCallbacks, s.callbacks.drawCallbacks},
	}
}

// FindView returns the view that a client names, like "overview" or "job:ID". It returns an
// error if there is none, or if the caller may not watch it.
func (s *Server) FindView(ctx context.Context, who auth.Identity, name string) (hub.ViewKey, error) {
	page, of, _ := strings.Cut(name, ":")
	key := hub.ViewKey{Tenant: who.Tenant, Page: page, Of: of}
	v, ok := s.views[page]
	if !ok {
		return key, noView(name)
	}
	if !who.May(v.may, auth.Target{}) {
		return key, rest.NotAllowed(who, v.may)
	}
	return key, v.find(ctx, who.Tenant, of)
}

func noView(name string) error {
	return jobs.NewProblem(jobs.NotFound, "Not found", "There is no view %s.", name)
}

// alone is for views whose names have no second part.
func alone(_ context.Context, _, of string) error {
	if of != "" {
		return noView(of)
	}
	return nil
}

// insideAlone is alone for views that show the internals of the hub.
func insideAlone(ctx context.Context, tenant, of string) error {
	if !rest.IsHubTenant(tenant) {
		return rest.ErrHubTenantOnly
	}
	return alone(ctx, tenant, of)
}

// Render is the hub's renderer: the live parts of the pages.
func (s *Server) Render(ctx context.Context, key hub.ViewKey, last any) (hub.Rendered, error) {
	return s.views[key.Page].draw(view.WithBase(ctx, s.BasePath), key.Tenant, key.Of, last)
}
