package web

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/web/api"
	"jobhub/web/batch"
	"jobhub/web/catalog"
	"jobhub/web/docs"
	"jobhub/web/gateway"
	"jobhub/web/gateway/match"
	"jobhub/web/gateway/transform"
	"jobhub/web/limit"
	"jobhub/web/live"
	"jobhub/web/pages"
	"jobhub/web/rest"
)

// routeOf returns the route of a request, if it has one. The hub's own paths have none.
func (s *Server) routeOf(r *http.Request) (found match.Found[*gateway.Route], err error) {
	set, table := s.Settings(), s.table.Load()
	if table.Empty() || s.isOwnPath(r) || set.Dashboard != "" && set.OnDashboardHost(r) {
		return found, nil
	}
	return table.Find(r)
}

// wrongHost returns the problem for a page that is served on another host only, else nil.
func (s *Server) wrongHost(r *http.Request) error {
	set := s.Settings()
	if set.OnDashboardHost(r) || !isPage(r.URL.Path) || !s.isOwnPath(r) {
		return nil
	}
	return jobs.NewProblem(jobs.NotFound, "Not found", "The dashboard is on the host %s only.", set.Dashboard)
}

// isPage reports whether one of the hub's own paths belongs to the dashboard: all paths that
// are not for programs.
func isPage(path string) bool {
	switch path {
	case "/batch", "/healthz", "/readyz", "/metrics", "/openapi.json", "/asyncapi.json":
		return false
	}
	return !strings.HasPrefix(path, "/v1/") && !strings.HasPrefix(path, "/static/")
}

// isOwnPath reports whether a path is the hub's own, for any method.
func (s *Server) isOwnPath(r *http.Request) bool {
	_, pattern := s.ownPaths.Handler(&http.Request{Method: http.MethodGet, Host: r.Host, URL: r.URL})
	return pattern != ""
}

// OwnPaths returns the http.ServeMux patterns of the hub's own paths, which no route can
// replace.
func OwnPaths() (paths []string) {
	s := &Server{Base: new(rest.Base), api: new(api.Server), batch: new(batch.Server), live: new(live.Server), pages: new(pages.Server), docs: new(docs.Server), catalog: new(catalog.Server)} // enough for Routes
	for pattern := range s.ownRoutes() {
		paths = append(paths, pathOf(pattern))
	}
	return paths
}

// MakesJob reports whether a request is for a route and becomes a job.
func (s *Server) MakesJob(r *http.Request) bool {
	found, err := s.routeOf(r)
	return err == nil && found.Rule != nil && wantsJob(found.Value, r)
}

// wantsJob is MakesJob for a known route.
func wantsJob(route *gateway.Route, r *http.Request) bool {
	return route.BecomesJob(r.Method, r.URL.RawQuery, api.Prefers(r.Header, "respond-async"), api.Prefers(r.Header, "wait"))
}

// submitRouted makes a job of a request to a route, and answers.
func (s *Server) submitRouted(w http.ResponseWriter, r *http.Request, route *gateway.Route, values *transform.Values) error {
	r = rest.DetachFromClient(r)
	wait, waiting, err := api.PreferredWait(r)
	if err != nil {
		return err
	}
	limit := cmp.Or(route.MaxBody, route.MaxInput, jobs.MaxInput)
	if r.ContentLength > limit {
		w.Header().Set("Connection", "close")
		return rest.BodyTooLarge(limit)
	}
	body, err := rest.ReadBody(w, r, limit)
	if err != nil {
		return err
	}
	request := *r
	request.Header = r.Header.Clone()
	async := api.Prefers(r.Header, "respond-async")
	if others := api.OtherPreferences(r.Header); others != "" {
		request.Header.Set("Prefer", others)
	} else {
		request.Header.Del("Prefer")
	}
	tenant := rest.Tenant(r)
	spec, err := route.Spec(&request, body, values, s.Engine.Queues.Settings(tenant, route.QueueName()).QueueTimeout > 0)
	if err != nil {
		return err
	}
	spec.Tenant, spec.Caller = tenant, rest.Caller(r)
	if spec.Key, err = rest.IdempotencyKey(r, append([]byte(gateway.Query(r.URL)+"\n"), body...)); err != nil {
		return err
	}
	return s.api.Accept(w, r, spec, api.AcceptOptions{Async: async, Waiting: waiting, Wait: wait, Body: s.routedBody})
}

// routedBody returns the body of a 202 for a route: a short form of AcceptedBody.
func (s *Server) routedBody(a engine.Accepted) []byte {
	b := append(make([]byte, 0, 512), `{"id":"`+a.Job.ID.String()+`","progress":"`+rest.ProgressState(&a.Job)+`","queue_position":`...)
	b = strconv.AppendInt(b, a.Position, 10)
	b = append(b, `,"epoch":"`+s.Hub.Epoch()+`","seq":`...)
	b = append(strconv.AppendUint(b, a.Job.Seq, 10), `,"links":`...)
	return append(jobs.AppendLinks(b, a.Job.ID), '}')
}

// Settings are what may change while the server runs; its hosts, origins and proxies are in
// addition to those of Config.
type Settings = rest.Settings

// ConfigState is the state of the configuration file (see Server.ReportConfig).
type ConfigState = rest.ConfigState

// Apply replaces the settings and the routes. Requests in progress keep those that they started
// with. It changes nothing if it returns an error.
func (s *Server) Apply(set Settings, routes []gateway.Route) error {
	s.applying.Lock()
	defer s.applying.Unlock()
	if err := s.apply(set, routes); err != nil {
		return err
	}
	s.applied.Store(&applied{set, routes})
	return nil
}

// apply is Apply for who holds applying. The routes of the catalogue join those given.
func (s *Server) apply(set Settings, files []gateway.Route) error {
	routes := s.withCatalog(files)
	table, err := gateway.NewTable(routes, s.config.Own, s.stored)
	if err != nil {
		return err
	}
	if err := s.UseIssuers(set.Issuers, s.issuerClient); err != nil {
		return err
	}
	set.Hosts = slices.Concat(s.config.Hosts, set.Hosts)
	set.Origins = slices.Concat(s.config.Origins, set.Origins)
	set.Proxies = slices.Concat(s.config.Proxies, set.Proxies)
	if set.Dashboard != "" {
		set.Hosts = append(set.Hosts, set.Dashboard)
	}
	for _, r := range files {
		if r.Match.Host != "" {
			set.Hosts = append(set.Hosts, r.Match.Host)
		}
	}
	s.UseSettings(&set)
	s.Limiter.Use(limitsOf(&set, routes)...)
	table.Start(s.table.Load())
	if old := s.table.Swap(table); old != nil {
		old.Close()
	}
	s.Hub.Notify(jobs.Notice{Subject: jobs.ConfigurationChanged})
	return nil
}

// limitsOf returns the limits that a configuration has.
func limitsOf(set *Settings, routes []gateway.Route) (all []*limit.RuleSet) {
	for _, r := range routes {
		all = append(all, r.Limits)
	}
	all = slices.AppendSeq(all, maps.Values(set.Plans))
	return slices.DeleteFunc(all, func(rules *limit.RuleSet) bool { return rules == nil })
}

// withoutKey returns a request without the header for keys, which no upstream may see.
func (s *Server) withoutKey(r *http.Request) *http.Request {
	name := s.KeyHeader()
	if r.Header[name] == nil {
		return r
	}
	out := *r
	out.Header = r.Header.Clone()
	out.Header.Del(name)
	return &out
}

// RouteTransport returns how jobs of a route call its upstreams; see gateway.Table.Transport.
func (s *Server) RouteTransport(via jobs.Via) (http.RoundTripper, int64) {
	return s.table.Load().Transport(via)
}
