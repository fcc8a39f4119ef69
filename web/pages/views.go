package pages

import (
	"context"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/rest"
	"jobhub/web/view"
)

// liveView is a page as the hub draws it: once for all of a tenant who look at it. The
// name of a view is a word, and for a page of one thing a colon and that thing.
type liveView struct {
	may  auth.Action // who may watch it
	find func(ctx context.Context, tenant, of string) error
	draw func(ctx context.Context, tenant, of string, last any) (hub.Rendered, error)
}

// liveViews are all views, by their word.
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

// FindView returns an error unless a tenant has a view of that name, and who may watch it.
func (s *Server) FindView(ctx context.Context, who auth.Identity, name string) error {
	_, word, of := rest.SplitView(rest.ViewName(who.Tenant, name))
	v, ok := s.views[word]
	if !ok {
		return noView(name)
	}
	if !who.May(v.may, auth.Target{}) {
		return rest.NotAllowed(who, v.may)
	}
	return v.find(ctx, who.Tenant, of)
}

func noView(name string) error {
	return jobs.NewProblem(jobs.NotFound, "Not found", "There is no view %s.", name)
}

// alone is for views that are of nothing else.
func alone(_ context.Context, _, of string) error {
	if of != "" {
		return noView(of)
	}
	return nil
}

// insideAlone is alone for views that show the hub from inside.
func insideAlone(ctx context.Context, tenant, of string) error {
	if !rest.IsHubTenant(tenant) {
		return rest.ErrHubTenantOnly
	}
	return alone(ctx, tenant, of)
}

// Render is the hub's renderer: the live parts of the pages.
func (s *Server) Render(ctx context.Context, full string, last any) (hub.Rendered, error) {
	tenant, word, of := rest.SplitView(full)
	return s.views[word].draw(view.WithBase(ctx, s.BasePath), tenant, of, last)
}
