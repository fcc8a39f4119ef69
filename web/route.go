package web

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/gateway"
)

// routeOf returns the route of a request. The hub's own paths are not for routes.
func (s *Server) routeOf(r *http.Request) (*gateway.Route, error) {
	set := s.settings.Load()
	if set.table.Empty() || s.owns(r) || set.Dashboard != "" && set.onDashboard(r) {
		return nil, nil
	}
	return set.table.Find(r.URL)
}

// onDashboard reports whether a request is sent to the host of the dashboard.
func (set *settings) onDashboard(r *http.Request) bool {
	return set.Dashboard == "" || strings.EqualFold(hostname(r.Host), set.Dashboard)
}

// elsewhere is the problem of a request for a page that is on another host only.
func (s *Server) elsewhere(r *http.Request) error {
	set := s.settings.Load()
	if set.onDashboard(r) || !isPage(r.URL.Path) || !s.owns(r) {
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

// owns reports whether a path is the hub's own, whatever the method.
func (s *Server) owns(r *http.Request) bool {
	_, pattern := s.own.Handler(&http.Request{Method: http.MethodGet, Host: r.Host, URL: r.URL})
	return pattern != ""
}

// OwnPaths are the patterns of the hub's own paths, as http.ServeMux has them: no route
// can take what they match.
func OwnPaths() (paths []string) {
	for pattern := range (*Server)(nil).table() {
		paths = append(paths, pathOf(pattern))
	}
	return paths
}

// routed answers a request of a route. Whoever may submit jobs may send requests through.
func (s *Server) routed(route *gateway.Route) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		taken := false
		s.may(auth.Submit, func(w http.ResponseWriter, r *http.Request) {
			taken = true
			s.pass(w, s.withoutKey(r), route)
		})(w, r)
		if !taken {
			route.Stats.Refuse()
		}
	}
}

func wantsJob(route *gateway.Route, r *http.Request) bool {
	return route.Wants(r.Method, r.URL.RawQuery, prefers(r.Header, "respond-async"), prefers(r.Header, "wait"))
}

func (s *Server) pass(w http.ResponseWriter, r *http.Request, route *gateway.Route) {
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace {
		w.Header().Set("Connection", "close") // what follows a CONNECT is no request
		route.Stats.Refuse()
		s.fail(w, r, &jobs.Problem{Type: "urn:jobhub:problem:unsupported", Title: "Method not implemented", Code: jobs.Unsupported, Status: http.StatusNotImplemented,
			Detail: "The hub passes no " + r.Method + " on. Send the upstream itself what needs it."})
		return
	}
	if wantsJob(route, r) {
		if s.submitRouted(w, r, route) {
			route.Stats.Accept()
		} else {
			route.Stats.Refuse()
		}
		return
	}
	if route.Upstream == nil { // of several targets none is the one to ask
		w.Header().Set("Allow", "GET, POST, PUT, PATCH, DELETE, OPTIONS")
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		s.fail(w, r, &jobs.Problem{Type: "urn:jobhub:problem:unsupported", Title: "Method not allowed", Code: jobs.Unsupported, Status: http.StatusMethodNotAllowed,
			Detail: "This path calls several upstreams and is always a job. Send Prefer: respond-async if " + r.Method + " is meant."})
		return
	}
	if s.count(&s.passing) {
		defer s.passing.Done()
	}
	ctx, stop := s.while(r.Context(), identity(r)) // the answer may be a stream
	defer stop()
	r = r.WithContext(ctx)
	amend := s.corsOfRoute(w)
	clear(w.Header()) // the answer is the upstream's
	route.Pass(w, r, amend)
}

// submitRouted makes a job of a request. False if it was refused.
func (s *Server) submitRouted(w http.ResponseWriter, r *http.Request, route *gateway.Route) bool {
	r = carriedOut(r)
	wait, waiting, err := preferredWait(r)
	if err != nil {
		s.fail(w, r, err)
		return false
	}
	most := cmp.Or(route.MaxInput, jobs.MaxInput)
	if r.ContentLength > most {
		w.Header().Set("Connection", "close")
		s.fail(w, r, tooLarge(most))
		return false
	}
	body, err := readBody(w, r, most)
	if err != nil {
		s.fail(w, r, err)
		return false
	}
	request := *r
	request.Header = r.Header.Clone()
	async := prefers(r.Header, "respond-async")
	if others := otherPreferences(r.Header); others != "" {
		request.Header.Set("Prefer", others)
	} else {
		request.Header.Del("Prefer")
	}
	owner := tenant(r)
	spec, err := route.Spec(&request, body, s.Engine.Settings(owner, route.QueueName()).QueueTimeout > 0)
	if err != nil {
		s.fail(w, r, err)
		return false
	}
	spec.Tenant, spec.Caller = owner, caller(r)
	if spec.Key, err = idempotencyKey(r, append([]byte(gateway.Query(r.URL)+"\n"), body...)); err != nil {
		s.fail(w, r, err)
		return false
	}
	return s.accept(w, r, spec, preferred{async: async, waiting: waiting, wait: wait, body: s.routedBody})
}

// routedBody is the short form of what was accepted.
func (s *Server) routedBody(a jobs.Accepted) []byte {
	b := append(make([]byte, 0, 512), `{"id":"`+a.Job.ID.String()+`","progress":"`+progressState(&a.Job)+`","queue_position":`...)
	b = strconv.AppendInt(b, a.Position, 10)
	b = append(b, `,"epoch":"`+s.Hub.Epoch()+`","seq":`...)
	b = append(strconv.AppendUint(b, a.Job.Seq, 10), `,"links":`...)
	return append(jobs.AppendLinks(b, a.Job.ID), '}')
}
