package web

import (
	"io"
	"net/http"
	"strings"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/catalog"
	"jobhub/web/gateway"
	"jobhub/web/gateway/match"
	"jobhub/web/gateway/openapi"
	"jobhub/web/gateway/transform"
	"jobhub/web/gateway/upgrade"
	"jobhub/web/limit"
	"jobhub/web/rest"
	"jobhub/web/stages"
)

// exchange is a request to a route on its way through the stages, and its answer.
type exchange struct {
	s      *Server
	w      http.ResponseWriter
	r      *http.Request
	route  *gateway.Route
	params []match.Param // of the path
	rest   string        // of the path, behind that of the route
	who    auth.Identity
	api    catalog.Verdict    // about the API of the route, if it has one
	op     *openapi.Operation // of its document; nil if the request was not compared with it

	ends []func() // what the stages have to end after the answer
}

// A stage lets a request pass, with a detail for people, or refuses it. It returns done if it
// has written the answer.
type stage struct {
	name  stages.Stage
	check func(x *exchange) (detail string, done bool, err error)
}

// pipeline is the stages of a request to a route after Match and CORS, in their order.
var pipeline = []stage{
	{stages.Who, (*exchange).identify},
	{stages.May, (*exchange).authorize},
	{stages.Validate, (*exchange).validate},
	{stages.Limits, (*exchange).limit},
	{stages.Cache, (*exchange).cache},
	{stages.TransformRequest, (*exchange).transform},
	{stages.Upstream, (*exchange).answer},
}

// passThrough passes a request to a route through the pipeline.
func (s *Server) passThrough(w http.ResponseWriter, r *http.Request, found match.Found[*gateway.Route]) {
	x := &exchange{s: s, w: w, r: r, route: found.Value, params: found.Params, rest: found.Rest()}
	defer func() {
		for _, end := range x.ends {
			end()
		}
		s.Hub.Notify(jobs.Notice{Subject: jobs.TrafficChanged})
	}()
	rec := stages.Of(r.Context())
	for _, st := range pipeline {
		detail, done, err := st.check(x)
		switch {
		case err != nil:
			rec.Refuse(st.name, err)
			x.route.Stats.CountRefused(st.name)
			s.Fail(w, x.r, err)
			return
		case done:
			rec.Answer(st.name, detail)
			return
		}
		rec.Pass(st.name, detail)
	}
}

// identify is the stage Who.
func (x *exchange) identify() (string, bool, error) {
	methods := x.route.Auth
	who, err := x.s.Identify(x.r)
	if err == rest.ErrAnonymous && methods.Everybody() {
		who, err = auth.Anonymous, nil
	}
	if err != nil {
		return "", false, err
	}
	if !methods.Take(who.Method()) {
		return "", false, jobs.NewProblem(rest.Unauthorized, "Other credentials needed", "This path takes %s. Send one of these.", methods)
	}
	x.who = who
	x.r = x.s.withoutKey(x.r.WithContext(rest.WithIdentity(x.r.Context(), who)))
	stages.Of(x.r.Context()).Identified(who.Tenant, who.Consumer())
	return who.Method() + " of " + who.Name, false, nil
}

// authorize is the stage May.
func (x *exchange) authorize() (string, bool, error) {
	if x.who.Subject == "" {
		if err := rest.Allow(x.who, auth.Submit); err != nil {
			return "", false, err
		}
	}
	if x.route.API != "" {
		if err := x.passGate(); err != nil {
			return "", false, err
		}
	}
	scopes := x.route.Scopes.For(x.r.Method)
	if x.api.Access != nil || x.api.Owned { // either gives the scopes of the API
		return x.api.Reason, false, nil
	}
	if missing := x.who.MissingScope(scopes); missing != "" {
		return "", false, jobs.NewProblem(rest.Forbidden, "Scope missing", "%s of this path needs the scope %s, which %s does not have. Ask an admin for a key with it.", x.r.Method, missing, x.who.Name)
	}
	if len(scopes) == 0 {
		return "no scopes are needed", false, nil
	}
	return "has " + strings.Join(scopes, ", "), false, nil
}

// validate is the stage Validate.
func (x *exchange) validate() (string, bool, error) {
	detail, err := x.boundBody()
	if err != nil || x.route.Validate == gateway.Off {
		return detail, false, err
	}
	detail, err = x.checkRequest()
	return detail, false, err
}

// boundBody bounds the body of the request.
func (x *exchange) boundBody() (string, error) {
	most := x.route.MaxBody
	if most == 0 || x.r.Body == nil || x.r.Body == http.NoBody {
		return "no bound of the route", nil
	}
	if x.r.ContentLength > most {
		x.w.Header().Set("Connection", "close")
		return "", rest.BodyTooLarge(most)
	}
	x.r.Body = &boundedBody{ReadCloser: x.r.Body, left: most, most: most}
	return "the body may have " + jobs.SizeText(most), nil
}

// boundedBody is a body that may have most bytes; a longer one ends with an error.
type boundedBody struct {
	io.ReadCloser
	left, most int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, rest.BodyTooLarge(b.most)
	}
	return n, err
}

// limit is the stage Limits.
func (x *exchange) limit() (string, bool, error) {
	var own []*limit.RuleSet
	if x.route.Limits != nil {
		own = append(own, x.route.Limits)
	}
	verdict := x.s.Limit(x.r.Context(), x.w.Header(), rest.ClientAddress(x.r), x.who, own...)
	x.ends = append(x.ends, verdict.Release)
	return rest.Left(verdict), false, verdict.Err()
}

// cache is the stage Cache; whether there is an answer shows when the request has been changed
// for the upstream.
func (x *exchange) cache() (string, bool, error) {
	if !x.route.Cached {
		return "answers are not stored", false, nil
	}
	return "answers are stored, for " + x.route.CacheTTL.String() + " where they say nothing about it", false, nil
}

// transform is the stage TransformRequest. The rules are applied to what is sent, or kept as a
// job, so that this only says whether there are some.
func (x *exchange) transform() (string, bool, error) {
	return changes(x.route.Request != nil), false, nil
}

func changes(any bool) string {
	if any {
		return "changed by the rules of the route"
	}
	return "not changed"
}

// explainRest records the stages after Upstream for a request that is only explained.
func (x *exchange) explainRest() {
	rec := stages.Of(x.r.Context())
	rec.Pass(stages.TransformResponse, changes(x.route.Response != nil))
	rec.Pass(stages.Account, "counts for "+x.who.Consumer())
}

// answer is the stage Upstream: it passes the request to the upstream, or makes a job of it.
func (x *exchange) answer() (string, bool, error) {
	s, w, r, route := x.s, x.w, x.r, x.route
	if r.Method == http.MethodConnect || r.Method == http.MethodTrace {
		w.Header().Set("Connection", "close") // the bytes after a CONNECT are not a request
		return "", false, &jobs.Problem{Type: "urn:jobhub:problem:unsupported", Title: "Method not implemented", Code: jobs.Unsupported, Status: http.StatusNotImplemented,
			Detail: "The hub does not forward " + r.Method + ". Send it to the upstream directly."}
	}
	if route.Mock {
		return x.mock()
	}
	explains := stages.Of(r.Context()).Explains()
	if wantsJob(route, r) {
		if explains {
			x.explainRest()
			return "becomes a job of the queue " + route.QueueName(), true, nil
		}
		if err := s.submitRouted(w, r, route, x.values()); err != nil {
			return "", false, err
		}
		route.Stats.CountAccepted()
		return "a job", true, nil
	}
	if route.Upstream == nil { // a fan-out has no single upstream that could answer
		w.Header().Set("Allow", "GET, POST, PUT, PATCH, DELETE, OPTIONS")
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return "options of a fan-out", true, nil
		}
		return "", false, &jobs.Problem{Type: "urn:jobhub:problem:unsupported", Title: "Method not allowed", Code: jobs.Unsupported, Status: http.StatusMethodNotAllowed,
			Detail: "This path calls several upstreams, so each request becomes a job. Send Prefer: respond-async to make a job of " + r.Method + "."}
	}
	detail := "goes to " + route.UpstreamURL(r.URL)
	if explains {
		x.explainRest()
		return detail, true, nil
	}
	if s.Gate.Enter(&s.routeRequests) {
		defer s.routeRequests.Done()
	}
	ctx, stop := s.WhileValid(r.Context(), x.who) // the answer may be a stream
	defer stop()
	r = r.WithContext(ctx)
	set := w.Header().Clone()
	clear(w.Header()) // the answer is the upstream's
	cors := s.corsOf(route)
	var check *answerCheck
	if x.op != nil && route.Validate == gateway.Report && !upgrade.IsWebSocket(r) {
		check = &answerCheck{ResponseWriter: w}
		w = check
	}
	passing := gateway.Passing{
		Values: x.values(), Consumer: x.who.Tenant + " " + x.who.Consumer(),
		Edit: func(h http.Header) {
			cors.ReplaceIn(h, set)
			for _, name := range []string{"Ratelimit", "Ratelimit-Policy"} {
				if values := set[name]; len(values) > 0 {
					h[name] = values
				}
			}
			x.editAnswer(h)
			if check != nil {
				check.upstream = true
			}
		},
		Fail: func(w http.ResponseWriter, r *http.Request, err error) {
			for name, values := range set { // those of the hub's own answers
				w.Header()[name] = values
			}
			s.Fail(w, r, err)
		},
	}
	if route.WebSocket && upgrade.IsWebSocket(r) {
		route.PassWebSocket(w, r, s.upgrades, passing)
		return "a WebSocket to " + detail, true, nil
	}
	if status := route.Pass(w, r, passing); strings.HasPrefix(status, "hit") {
		stages.Of(r.Context()).Answer(stages.Cache, status)
	}
	x.checkAnswer(check)
	return detail, true, nil
}

// values are what the rules of the route about requests and answers may name; nil if there are
// none.
func (x *exchange) values() *transform.Values {
	if x.route.Request == nil && x.route.Response == nil && x.route.Pool == nil {
		return nil
	}
	v := &transform.Values{Path: make(map[string]string, len(x.params)), Rest: x.rest, Claims: x.who.Claims, Query: gateway.Query(x.r.URL), Header: x.r.Header,
		Consumer: transform.Consumer{Name: x.who.Name, ID: x.who.Consumer(), Tenant: x.who.Tenant, Plan: x.who.Plan}}
	for _, p := range x.params {
		v.Path[p.Name] = p.Raw
	}
	return v
}
