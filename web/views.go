package web

import (
	"bytes"
	"context"
	"strings"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/auth"
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
		"jobs":      {auth.Watch, s.findTable, s.renderTable},
		"job":       {auth.Watch, s.findJob, s.renderJob},
		"batches":   {auth.Watch, findBatches, s.drawBatches},
		"batch":     {auth.Watch, s.findBatch, s.drawBatch},
		"routes":    {auth.Administer, insideAlone, s.drawRoutes},
		"queues":    {auth.Watch, findQueues, s.drawQueues},
		"queue":     {auth.Watch, s.findQueue, s.drawQueue},
		"workers":   {auth.Watch, alone, s.drawWorkers},
		"hub":       {auth.Administer, insideAlone, s.drawHub},
		"schedules": {auth.Watch, findSchedules, s.drawSchedules},
		"schedule":  {auth.Watch, s.findSchedule, s.drawSchedule},
		"callbacks": {auth.Watch, findCallbacks, s.drawCallbacks},
	}
}

// viewName is how the hub calls a view of a tenant, which is drawn for those of that
// tenant only.
func viewName(tenant, name string) string { return tenant + " " + name }

// splitView is the opposite of viewName.
func splitView(full string) (tenant, word, of string) {
	tenant, name, _ := strings.Cut(full, " ")
	word, of, _ = strings.Cut(name, ":")
	return tenant, word, of
}

// findView returns an error unless a tenant has a view of that name, and who may watch it.
func (s *Server) findView(ctx context.Context, who auth.Identity, name string) error {
	_, word, of := splitView(viewName(who.Tenant, name))
	v, ok := s.views[word]
	if !ok {
		return noView(name)
	}
	if !who.May(v.may, auth.Target{}) {
		return notAllowed(who, v.may)
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
	if !seesHub(tenant) {
		return errNotTheirs
	}
	return alone(ctx, tenant, of)
}

// render is the hub's renderer: the live parts of the pages.
func (s *Server) render(ctx context.Context, full string, last any) (hub.Rendered, error) {
	tenant, word, of := splitView(full)
	return s.views[word].draw(view.WithBase(ctx, s.base), tenant, of, last)
}

// rendered is a view of these parts, which events of the filter change, or the time.
func rendered(ctx context.Context, f hub.Filter, again time.Duration, parts []view.Fragment) (hub.Rendered, error) {
	out := hub.Rendered{Filter: f, Again: again, Fragments: make([]hub.Fragment, len(parts))}
	for i, p := range parts {
		var b bytes.Buffer
		if err := p.Component.Render(ctx, &b); err != nil {
			return out, err
		}
		out.Fragments[i] = hub.Fragment{ID: p.ID, HTML: readable(b.Bytes())}
	}
	return out, nil
}
