package web_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"jobhub/jobs"
	"jobhub/web"
	"jobhub/web/auth"
	"jobhub/web/gateway"
)

// TestBatchActsForItsCaller: what a batch asks for later is judged by the role and tenant
// of whoever handed it in, whichever way it came; its job holds no key.
func TestBatchActsForItsCaller(t *testing.T) {
	w := start(t)
	admin, submitter := w.key(auth.Admin, "default"), w.key(auth.Submitter, "acme")
	ids := map[string]string{}
	list, err := w.keys.List()
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range list {
		ids[key.Tenant] = key.ID
	}
	w.bearer = admin
	foreign := w.submit(`{"kind":"nobody"}`)
	items := `{"requests":[{"method":"POST","path":"/v1/jobs","body":{"kind":"nobody","tags":["inner"]}},{"method":"POST","path":"/v1/queues/default/pause"},
		{"method":"GET","path":"/v1/jobs/` + foreign + `"},{"method":"GET","path":"/v1/jobs"}]}`
	for way, send := range map[string]func(bearer string) map[string]any{
		"asynchronous": func(bearer string) map[string]any {
			return w.with(bearer, "POST", "/batch?async=true", items).want(202).json()
		},
		"as a job": func(bearer string) map[string]any {
			return w.with(bearer, "POST", "/v1/jobs", `{"kind":"batch","input":`+items+`}`).want(202).json()
		},
	} {
		for bearer, want := range map[string]string{submitter: "202 403 404 200", admin: "202 200 200 200"} {
			job := send(bearer)
			w.bearer = bearer
			w.await(job["id"].(string), "succeeded")
			list := w.do("GET", "/v1/jobs/"+job["id"].(string)+"/response", "").want(200)
			if got := statuses(list.responses()); got != want {
				t.Errorf("%s: %s, want %s", way, got, want)
			}
			inner, ok := list.responses()[0]["body"].(map[string]any)
			if !ok || inner["tenant"] != job["tenant"] {
				t.Errorf("%s: the job of an item is in the tenant %v, not %v", way, inner["tenant"], job["tenant"])
			}
			w.bearer = admin
			w.do("POST", "/v1/queues/default/resume", "").want(200)
		}
	}
	for _, tenant := range []string{"default", "acme"} {
		page, err := w.store.List(t.Context(), jobs.Filter{Tenant: tenant, Tag: "inner"})
		if err != nil || len(page.Jobs) != 2 {
			t.Fatalf("%s: %d jobs, %v", tenant, len(page.Jobs), err)
		}
		for _, j := range page.Jobs {
			if id, _, _ := strings.Cut(j.Caller, " "); id != ids[tenant] || strings.Contains(j.Caller, "jh_") {
				t.Errorf("the caller of %s is %q", j.ID, j.Caller)
			}
		}
	}
}

// TestRoutesAskForAKey: with keys, a route's callers need the right to submit jobs, and
// the upstream hears nothing of their keys.
func TestRoutesAskForAKey(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("Authorization"), r.Header.Get("Sec-Websocket-Protocol"))
	})
	w := startRoutes(t, up.route("/api/"))
	admin := w.key(auth.Admin, "default")
	w.bearer = admin
	token := w.token(`{"queues":["default"]}`)
	for _, query := range []string{"", "?async=true"} {
		w.with("", "GET", "/api/x"+query, "").unauthorized("Bearer")
		w.with("jh_"+strings.Repeat("a", 52), "GET", "/api/x"+query, "").unauthorized(badToken)
		for _, bearer := range []string{w.key(auth.Viewer, "default"), w.key(auth.Worker, "default"), token} {
			w.with(bearer, "GET", "/api/x"+query, "").problem(http.StatusForbidden, "forbidden")
		}
	}
	if n := up.hits.Load(); n != 0 {
		t.Fatalf("the upstream was called %d times", n)
	}
	submitter := w.key(auth.Submitter, "acme")
	if r := w.with(submitter, "GET", "/api/x", "", "Sec-WebSocket-Protocol", "jobhub.token.x").want(200); r.body != "" {
		t.Errorf("the upstream got %q", r.body)
	}
	id := w.with(submitter, "GET", "/api/x?async=true", "").want(202).text("id")
	w.with(admin, "GET", "/v1/jobs/"+id, "").problem(http.StatusNotFound, "not_found") // of another tenant
	w.bearer = submitter
	if job := w.await(id, "succeeded"); job["tenant"] != "acme" || strings.Contains(fmt.Sprint(job["input"]), "jh_") {
		t.Errorf("%v", job)
	}
	if r := w.do("GET", "/v1/jobs/"+id+"/response", "").want(200); r.body != "" {
		t.Errorf("the upstream got %q", r.body)
	}
}

// TestRouteToSeveralUpstreams: the operator's targets are called past the guard, each once,
// with the trace of the request; the result has them in declared order.
func TestRouteToSeveralUpstreams(t *testing.T) {
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	var targets []gateway.Target
	for _, name := range []string{"north", "south"} {
		up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, name, " ", r.URL.Path, " ", r.Header.Get("Traceparent"))
		})
		at, err := url.Parse(up.URL)
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, gateway.Target{Name: name, Upstream: at})
	}
	w := startRoutes(t, gateway.Route{Path: "/both/", Targets: targets, Async: gateway.Always})
	r := w.do("GET", "/both/x", "", "Prefer", "wait=30", "Traceparent", trace).want(200)
	if got, want := r.body, `"body":"north /both/x `+trace+`"`; !strings.Contains(got, want) || strings.Index(got, "north") > strings.Index(got, "south") {
		t.Errorf("%s, want %s", got, want)
	}
	if doc := r.json(); fmt.Sprint(doc["completed"]) != "2" {
		t.Errorf("%v", doc)
	}
	// What a caller writes is under the guard all the same.
	w.do("POST", "/v1/jobs", `{"kind":"fanout","input":{"targets":[{"name":"a","url":"`+targets[0].Upstream.String()+`"}]}}`).problem(422, "blocked_address")
}

// TestBatchOfRoutedItems: items go the way of every request, straight through a route or
// as jobs by one, and those become durable together with jobs of other items.
func TestBatchOfRoutedItems(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "from "+r.URL.Path) })
	w := start(t)
	w.Apply(web.Settings{}, []gateway.Route{up.route("/api/", func(r *gateway.Route) { r.Queue = "routed" }), up.route("/sync/", func(r *gateway.Route) { r.Async = gateway.Never })})
	w.do("POST", "/v1/queues/routed/pause", "").want(200)
	list := w.batch(`{"method":"GET","path":"/api/a"},{"method":"GET","path":"/api/b?async=true"},{"method":"GET","path":"/sync/c","headers":{"Prefer":"respond-async"}},
		{"method":"POST","path":"/v1/jobs","body":{"kind":"nobody"}},{"method":"GET","path":"/api/d","headers":{"Prefer":"respond-async"}}`)
	if got := statuses(list); got != "200 202 200 202 202" {
		t.Fatalf("%s: %v", got, list)
	}
	if list[0]["body"] != "from /api/a" || list[2]["body"] != "from /sync/c" || up.hits.Load() != 2 {
		t.Errorf("%v", list)
	}
	commits := map[string]bool{}
	for _, e := range w.log() {
		if e.Type == jobs.JobQueued {
			commits[e.At.String()] = true
		}
	}
	if len(commits) != 1 {
		t.Errorf("the jobs were accepted at %d times", len(commits))
	}
}
