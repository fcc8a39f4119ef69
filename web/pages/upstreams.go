package pages

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"jobhub/hub"
	"jobhub/hub/quantile"
	"jobhub/jobs"
	"jobhub/web/batch"
	"jobhub/web/gateway"
	"jobhub/web/rest"
	"jobhub/web/view"
)

// This file is the page of routes, and the overview's alerts about their upstreams.

const (
	lookedJobs = 50  // newest jobs of a route that are read
	mostRoutes = 100 // routes whose jobs are read

	fanoutFailed jobs.Code = "fanout_failed" // the policy of a fan-out was not met
)

func (s routePages) routesPage(w http.ResponseWriter, r *http.Request) error {
	m, err := s.routesModel(r.Context(), rest.Tenant(r))
	if err != nil {
		return err
	}
	return s.Page(w, r, http.StatusOK, view.RoutesPage(s.Shell(r, s.Hub.Position()), m))
}

func (s routePages) drawRoutes(ctx context.Context, tenant, _ string, _ any) (hub.Rendered, error) {
	m, err := s.routesModel(ctx, tenant)
	if err != nil {
		return hub.Rendered{}, err
	}
	pace := hub.Pace{Min: time.Second, Again: lookupAge}
	for i := range m.Routes {
		if t := m.Routes[i].Traffic; t.RecentPassed+t.RecentFailed > 0 { // which time changes
			pace.Max = hub.BucketWidth
		}
	}
	causes := onAll(tenant, jobs.Notice{Tenant: tenant, Subject: jobs.SettingsChanged}, jobs.Notice{Subject: jobs.ConfigurationChanged}, jobs.Notice{Subject: jobs.TrafficChanged})
	return rendered(ctx, causes, pace, view.RoutesFragments(m))
}

func (s routePages) routesModel(ctx context.Context, tenant string) (view.Routes, error) {
	now := time.Now()
	m := view.Routes{Origin: s.Origin}
	if c := s.ConfigState(); c != nil {
		m.Config = &view.Config{File: c.File, LoadedAt: c.LoadedAt, FailedAt: c.FailedAt}
		if c.Err != nil {
			m.Config.Errors = strings.Split(c.Err.Error(), "\n")
		}
	}
	routes := s.Table().Routes()
	jobsOf, err := s.looks.of(ctx, s.Server, tenant, routes)
	if err != nil {
		return m, err
	}
	for _, r := range routes {
		row := view.Route{Path: r.Name(), Async: gateway.AsyncNames[r.Async], Strip: r.Strip, Policy: r.Policy, Queue: r.QueueName(),
			QueueTimeout: r.QueueTimeout, Timeout: cmp.Or(r.Timeout, jobs.DefaultTimeout), MaxAttempts: max(r.MaxAttempts, 1), Traffic: view.Traffic(r.Stats.Counts(now)), Jobs: jobsOf[r.Name()]}
		if row.QueueTimeout == 0 {
			row.QueueTimeout = cmp.Or(time.Duration(s.Engine.Queues.Settings(tenant, row.Queue).QueueTimeout), gateway.DefaultQueueTimeout)
		}
		if members := r.Members(); len(members) > 0 {
			for _, member := range members {
				row.Upstreams = append(row.Upstreams, view.Upstream{URL: member.URL, Weight: member.Weight, Ill: !member.Usable(), Why: member.Why, Since: member.Since})
			}
		} else if r.Upstream != nil {
			row.Upstreams = []view.Upstream{{URL: r.Upstream.Redacted()}}
		} else if len(r.Targets) > 0 {
			row.Policy = cmp.Or(row.Policy, "all")
		}
		for _, t := range r.Targets {
			row.Upstreams = append(row.Upstreams, view.Upstream{Name: t.Name, URL: t.Upstream.Redacted(), Timeout: t.Timeout})
		}
		m.Routes = append(m.Routes, row)
	}
	return m, nil
}

// routeLooks caches the outcomes of the newest jobs of routes, for each tenant.
type routeLooks struct {
	rest.Cache[lookKey, map[string]view.RouteJobs]
}

type lookKey struct {
	tenant string
	table  *gateway.Route // the first of the routes
}

func (l *routeLooks) of(ctx context.Context, s *Server, tenant string, routes []*gateway.Route) (map[string]view.RouteJobs, error) {
	if len(routes) == 0 {
		return nil, nil
	}
	return l.Get(lookKey{tenant, routes[0]}, lookupAge, func() (map[string]view.RouteJobs, error) {
		all := map[string]view.RouteJobs{}
		for _, r := range routes[:min(len(routes), mostRoutes)] {
			of, err := s.routes.routeJobs(ctx, tenant, r)
			if err != nil {
				return nil, err
			}
			all[r.Name()] = of
		}
		return all, nil
	})
}

// routeJobs reads the newest jobs that called a route's upstream. A job does not name its
// route, so they are found by upstream, queue and kind.
func (s routePages) routeJobs(ctx context.Context, tenant string, r *gateway.Route) (of view.RouteJobs, err error) {
	of.P50, of.P95 = -1, -1
	if r.Async == gateway.Never {
		return of, nil
	}
	kind := "http"
	if len(r.Targets) > 0 {
		kind = "fanout"
	}
	page, err := s.Store.List(ctx, jobs.Filter{Tenant: tenant, Queue: r.QueueName(), Kind: kind, Limit: lookedJobs,
		States: []jobs.State{jobs.Retrying, jobs.Succeeded, jobs.Failed}})
	if err != nil {
		return of, err
	}
	ups := r.Upstreams()
	var took []time.Duration
	for i := range page.Jobs { // newest first
		j := &page.Jobs[i]
		if j.StartedAt.IsZero() || !slices.ContainsFunc(j.Via.Upstreams, func(up string) bool { return slices.Contains(ups, up) }) {
			continue
		}
		when := j.FinishedAt
		if when.IsZero() {
			when = j.StartedAt
		} else {
			took = append(took, when.Sub(j.StartedAt))
		}
		of.Looked++
		if upstreamFailed(j) {
			if of.Failed++; of.Good.IsZero() {
				of.Failing = when
			}
			if of.Why == "" && j.Error != nil {
				of.Why = batch.ProblemText("", j.Error.Detail)
			}
		} else if of.Good.IsZero() {
			of.Good = when
		}
	}
	if slices.Sort(took); len(took) > 0 {
		of.P50, of.P95 = quantile.Of(took, .5), quantile.Of(took, .95)
	}
	return of, nil
}

// upstreamFailed reports whether a job failed because of the upstream, and not because the
// upstream refused the caller's request.
func upstreamFailed(j *jobs.Job) bool {
	switch {
	case j.State == jobs.Retrying, j.Reason == jobs.Exhausted, j.Reason == jobs.TimedOut:
		return true
	}
	return j.Error != nil && j.Error.Code == fanoutFailed
}

// routeAttention returns the routes whose upstreams fail now. It names the routes, which
// callers know, but neither the upstreams' URLs nor the traffic of other tenants.
func (s routePages) routeAttention(ctx context.Context, tenant string, now time.Time) (out []view.Attention, err error) {
	routes := s.Table().Routes()
	jobsOf, err := s.looks.of(ctx, s.Server, tenant, routes)
	if err != nil {
		return nil, err
	}
	for _, r := range routes {
		t, of := r.Stats.Counts(now), jobsOf[r.Name()]
		since, failed := view.Failing(view.Traffic(t), of)
		if since.IsZero() || failed < few || now.Sub(since) > attentionSpan && t.RecentFailed+int64(of.Failed) == 0 {
			continue
		}
		a := view.Attention{Level: view.Failure, Text: r.Name() + ": its upstream fails", Since: since, Do: view.Action{Label: "Routes", Path: "/routes", Admin: true}}
		switch {
		case !t.Failing.IsZero() && t.Status == 0:
			a.Detail = "no answer"
		case !t.Failing.IsZero():
			a.Detail = "the last answer was " + strconv.Itoa(t.Status)
		default:
			a.Detail = fmt.Sprintf("%d of its newest %d jobs failed", of.Failed, of.Looked)
		}
		out = append(out, a)
	}
	return out, nil
}
