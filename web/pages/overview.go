package pages

import (
	"context"
	"net/http"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/rest"
	"jobhub/web/view"
)

const newestJobs = 12

func (s *Server) overviewPage(w http.ResponseWriter, r *http.Request) error {
	reach, err := rangeOf(r.URL.Query().Get("range"))
	if err != nil {
		return err
	}
	model, pos, err := s.overview(r.Context(), rest.Tenant(r), reach)
	if err != nil {
		return err
	}
	page := view.OverviewPage
	if r.URL.Query().Get("view") == "wall" {
		page = view.WallPage
	}
	return s.Page(w, r, http.StatusOK, page(s.Shell(r, pos), model))
}

// rangeOf returns the range that a query or a view's name names.
func rangeOf(name string) (view.Range, error) {
	r, ok := view.RangeOf(name)
	if !ok {
		return r, rest.BadParameter("range", "takes 5m, 15m, 1h or 24h")
	}
	return r, nil
}

func findRange(_ context.Context, _, name string) error {
	if _, err := rangeOf(name); err != nil {
		return noView("overview:" + name)
	}
	return nil
}

// overview is the model of the overview, with charts of a range.
func (s *Server) overview(ctx context.Context, tenant string, reach view.Range) (view.Overview, jobs.Position, error) {
	now := time.Now()
	o := view.Overview{Origin: s.Origin, Range: reach, Throughput: s.series(tenant, "", hub.Fine, now)}
	newest, err := s.Store.List(ctx, jobs.Filter{Tenant: tenant, Limit: newestJobs})
	if err != nil {
		return o, newest.Pos, err
	}
	queues, _, err := s.Store.Queues(ctx, tenant)
	if err != nil {
		return o, newest.Pos, err
	}
	o.Now = newest.Jobs
	for _, q := range queues {
		o.Queues = append(o.Queues, s.queueOf(q, now))
	}
	o.History, o.Times = s.charts(tenant, reach, now)
	_, o.Slots, _ = s.Engine.Handlers()
	for _, w := range s.Engine.Workers.List(tenant) {
		o.Slots += w.Slots
	}
	if o.NextRetry, err = s.nextRetry(ctx, tenant, o.Queues); err != nil {
		return o, newest.Pos, err
	}
	if o.Attention, err = s.attention(ctx, tenant, o.Queues, now); err != nil {
		return o, newest.Pos, err
	}
	return o, newest.Pos, nil
}

// nextRetry is when the next retrying job is due; zero if there are too many to read.
func (s *Server) nextRetry(ctx context.Context, tenant string, queues []view.Queue) (next time.Time, err error) {
	n := int64(0)
	for _, q := range queues {
		n += q.Counts[jobs.Retrying]
	}
	if n == 0 || n > looked {
		return next, nil
	}
	page, err := s.Store.List(ctx, jobs.Filter{Tenant: tenant, States: []jobs.State{jobs.Retrying}, Limit: looked})
	for _, j := range page.Jobs {
		if next.IsZero() || j.ScheduledAt.Before(next) {
			next = j.ScheduledAt
		}
	}
	return next, err
}

func (s *Server) drawOverview(ctx context.Context, tenant, of string, _ any) (hub.Rendered, error) {
	reach, err := rangeOf(of)
	if err != nil {
		return hub.Rendered{}, err
	}
	model, _, err := s.overview(ctx, tenant, reach)
	if err != nil {
		return hub.Rendered{}, err
	}
	return rendered(ctx, causesOfOverview(tenant), whileBusy(model), view.OverviewFragments(model))
}

// busy reports whether the overview changes with time alone.
func busy(o view.Overview) bool {
	for _, b := range o.Throughput.Buckets {
		if b.Succeeded+b.Failed > 0 {
			return true
		}
	}
	for _, q := range o.Queues {
		if q.Counts[jobs.Queued]+q.Counts[jobs.Running] > 0 {
			return true
		}
	}
	return false
}

// everything selects all events of a tenant, for views of all queues.
func everything(tenant string) hub.Filter { return hub.Filter{Tenant: tenant, All: true} }

// causesOfOverview is what changes the overview: also all that its alerts are about.
func causesOfOverview(tenant string) hub.Causes {
	return onAll(tenant, jobs.Notice{Tenant: tenant, Subject: jobs.SchedulesChanged}, jobs.Notice{Tenant: tenant, Subject: jobs.WorkersChanged},
		jobs.Notice{Tenant: tenant, Subject: jobs.SettingsChanged}, jobs.Notice{Subject: jobs.ConfigurationChanged})
}

// whileBusy is the pace of a view of queues.
func whileBusy(o view.Overview) hub.Pace {
	if busy(o) {
		return everyBucket
	}
	return onEvents
}

func (s *Server) drawWall(ctx context.Context, tenant, _ string, _ any) (hub.Rendered, error) {
	reach, _ := view.RangeOf("")
	model, _, err := s.overview(ctx, tenant, reach)
	if err != nil {
		return hub.Rendered{}, err
	}
	return rendered(ctx, causesOfOverview(tenant), whileBusy(model), view.WallFragments(model))
}
