package web

import (
	"cmp"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/web/api"
	"jobhub/web/auth"
	"jobhub/web/batch"
	"jobhub/web/docs"
	"jobhub/web/gateway"
	"jobhub/web/live"
	"jobhub/web/pages"
	"jobhub/web/rest"
)

// routeOf returns the route of a request. The hub's own paths are not for routes.
func (s *Server) routeOf(r *http.Request) (*gateway.Route, error) {
	set, table := s.Settings(), s.table.Load()
	if table.Empty() || s.isOwnPath(r) || set.Dashboard != "" && set.OnDashboardHost(r) {
		return nil, nil
	}
	return table.Find(r.URL)
}

// wrongHost is the problem of a request for a page that is on another host only.
func (s *Server) wrongHost(r *http.Request) error {
	set := s.Settings()
	if set.OnDashboardHost(r) || !isPage(r.URL.Path) || !s.isOwnPath(r) {
		return nil
	}
	return jobs.NewProblem(jobs.NotFound, "Not found", "The dashboard is at %s alone.", set.Dashboard)
}

// isPage reports whether one of the hub's own paths is for the dashboard: all that is not
// for programs.
func isPage(path string) bool {
	switch path {
	case "/batch", "/healthz", "/readyz", "/metrics", "/openapi.json", "/asyncapi.json":
		return false
	}
	return !strings.HasPrefix(path, "/v1/") && !strings.HasPrefix(path, "/static/")
}

// isOwnPath reports whether a path is the hub's own, whatever the method.
func (s *Server) isOwnPath(r *http.Request) bool {
	_, pattern := s.ownPaths.Handler(&http.Request{Method: http.MethodGet, Host: r.Host, URL: r.URL})
	return pattern != ""
}

// OwnPaths are the patterns of the hub's own paths, as http.ServeMux has them: no route
// can take what they match.
func OwnPaths() (paths []string) {
	s := &Server{api: new(api.Server), batch: new(batch.Server), live: new(live.Server), pages: new(pages.Server), docs: new(docs.Server)} // which is asked for nothing else
	for pattern := range s.ownRoutes() {
		paths = append(paths, pathOf(pattern))
	}
	return paths
}

// routeHandler answers a request of a route. Whoever may submit jobs may send requests through.
func (s *Server) routeHandler(route *gateway.Route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.Public(func(w http.ResponseWriter, r *http.Request) error {
			err := s.Authenticated(func(w http.ResponseWriter, r *http.Request) error { return s.answerRoute(w, s.withoutKey(r), route) }, func(_ *http.Request, who auth.Identity) error { return rest.Allow(who, auth.Submit) })(w, r)
			if err != nil {
				route.Stats.CountRefused()
			}
			return err
		})(w, r)
	}
}

// MakesJob reports whether a request is for a route and becomes a job.
func (s *Server) MakesJob(r *http.Request) bool {
	route, err := s.routeOf(r)
	return err == nil && route != nil && wantsJob(route, r)
}

func wantsJob(route *gateway.Route, r *http.Request) bool {
	return route.BecomesJob(r.Method, r.URL.RawQuery, api.Prefers(r.Header, "respond-async"), api.Prefers(r.Header, "wait"))
}

func (s *Server) answerRoute(w http.ResponseWriter, r *http.Request, route *gateway.Route) error {
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace {
		w.Header().Set("Connection", "close") // what follows a CONNECT is no request
		return &jobs.Problem{Type: "urn:jobhub:problem:unsupported", Title: "Method not implemented", Code: jobs.Unsupported, Status: http.StatusNotImplemented,
			Detail: "The hub passes no " + r.Method + " on. Send the upstream itself what needs it."}
	}
	if wantsJob(route, r) {
		if err := s.submitRouted(w, r, route); err != nil {
			return err
		}
		route.Stats.CountAccepted()
		return nil
	}
	if route.Upstream == nil { // of several targets none is the one to ask
		w.Header().Set("Allow", "GET, POST, PUT, PATCH, DELETE, OPTIONS")
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return nil
		}
		return &jobs.Problem{Type: "urn:jobhub:problem:unsupported", Title: "Method not allowed", Code: jobs.Unsupported, Status: http.StatusMethodNotAllowed,
			Detail: "This path calls several upstreams and is always a job. Send Prefer: respond-async if " + r.Method + " is meant."}
	}
	if s.Gate.Enter(&s.routeRequests) {
		defer s.routeRequests.Done()
	}
	ctx, stop := s.WhileValid(r.Context(), rest.IdentityOf(r)) // the answer may be a stream
	defer stop()
	r = r.WithContext(ctx)
	amend := s.routeCORS(w)
	clear(w.Header()) // the answer is the upstream's
	route.Pass(w, r, amend)
	return nil
}

// submitRouted makes a job of a request.
func (s *Server) submitRouted(w http.ResponseWriter, r *http.Request, route *gateway.Route) error {
	r = rest.DetachFromClient(r)
	wait, waiting, err := api.PreferredWait(r)
	if err != nil {
		return err
	}
	most := cmp.Or(route.MaxInput, jobs.MaxInput)
	if r.ContentLength > most {
		w.Header().Set("Connection", "close")
		return rest.BodyTooLarge(most)
	}
	body, err := rest.ReadBody(w, r, most)
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
	owner := rest.Tenant(r)
	spec, err := route.Spec(&request, body, s.Engine.Settings(owner, route.QueueName()).QueueTimeout > 0)
	if err != nil {
		return err
	}
	spec.Tenant, spec.Caller = owner, rest.Caller(r)
	if spec.Key, err = rest.IdempotencyKey(r, append([]byte(gateway.Query(r.URL)+"\n"), body...)); err != nil {
		return err
	}
	return s.api.Accept(w, r, spec, api.AcceptOptions{Async: async, Waiting: waiting, Wait: wait, Body: s.routedBody})
}

// routedBody is the short form of what was accepted.
func (s *Server) routedBody(a engine.Accepted) []byte {
	b := append(make([]byte, 0, 512), `{"id":"`+a.Job.ID.String()+`","progress":"`+rest.ProgressState(&a.Job)+`","queue_position":`...)
	b = strconv.AppendInt(b, a.Position, 10)
	b = append(b, `,"epoch":"`+s.Hub.Epoch()+`","seq":`...)
	b = append(strconv.AppendUint(b, a.Job.Seq, 10), `,"links":`...)
	return append(jobs.AppendLinks(b, a.Job.ID), '}')
}

// Settings is what may change while the server runs.
type Settings struct {
	Hosts   []string // besides those of Config
	Origins []string // besides those of Config
	Routes  []gateway.Route

	Proxies               []netip.Prefix // whose X-Forwarded-For and -Proto are believed, besides those of Config
	Dashboard             string         // the host on which alone pages and their session are, and no routes; empty for all hosts
	KeyHeader             string         // takes keys and tokens beside Authorization; Jobhub-Key if empty
	ConnectionsPerAddress int            // 256 if zero
	MaxInput              int64          // largest input of a job of kind http or fanout, in bytes; jobs.MaxInput if 0
}

// ConfigState is what became of the configuration file (see Server.ReportConfig).
type ConfigState = rest.ConfigState

// Apply replaces what may change. Requests under way end as they began.
func (s *Server) Apply(set Settings) {
	use := rest.Settings{Hosts: slices.Concat(s.config.Hosts, set.Hosts), Origins: slices.Concat(s.config.Origins, set.Origins), Proxies: slices.Concat(s.config.Proxies, set.Proxies),
		Dashboard: set.Dashboard, KeyHeader: set.KeyHeader, ConnectionsPerAddress: set.ConnectionsPerAddress, MaxInput: set.MaxInput}
	if set.Dashboard != "" {
		use.Hosts = append(use.Hosts, set.Dashboard)
	}
	s.UseSettings(&use)
	table := gateway.NewTable(set.Routes, s.config.Own, s.Fail)
	if old := s.table.Load(); old != nil {
		table.KeepStats(old)
	}
	if old := s.table.Swap(table); old != nil {
		old.Close()
	}
}

// withoutKey is a request as an upstream may get it: without the header for keys.
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

// RouteTransport is how jobs of a route call its upstreams (see gateway.Table.Calls).
func (s *Server) RouteTransport(path string) (http.RoundTripper, int64) {
	return s.table.Load().Transport(path)
}
