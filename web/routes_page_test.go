package web_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"jobhub/web"
	"jobhub/web/auth"
	"jobhub/web/gateway"
)

// row is what the page of routes says of a path, without markup.
func (w *world) row(path string) string {
	w.t.Helper()
	page := w.do("GET", "/routes", "").want(200).body
	_, rest, found := strings.Cut(page, "<bdi>"+path+"</bdi>")
	if !found {
		w.t.Fatalf("the page has no route %s", path)
	}
	rest, _, _ = strings.Cut(rest, "</tr>")
	var text strings.Builder
	for part := range strings.SplitSeq(rest, "<") {
		_, said, _ := strings.Cut(part, ">")
		text.WriteString(said + " ")
	}
	return strings.Join(strings.Fields(text.String()), " ")
}

// TestRoutesPage counts what happens on routes, and tells when an upstream fails.
func TestRoutesPage(t *testing.T) {
	broken := false
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) {
		if broken {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	down := newUpstream(t, nil)
	small := func(r *gateway.Route) { r.Queue, r.MaxAttempts = "small", 1 }
	routes := []gateway.Route{up.route("/up/", small), down.route("/down/", func(r *gateway.Route) { r.Async = gateway.Never }), up.route("/idle/", func(r *gateway.Route) { r.Queue = "idle" })}
	w := startRoutes(t, routes...)
	down.Close() // once the hub listens, so that it can't get this address
	if got := w.row("/idle/"); !strings.Contains(got, "not called yet") || !strings.Contains(got, "proxied, or a job on request queue idle 0 0 0 – – –") {
		t.Errorf("a route that nobody called: %s", got)
	}
	for range 3 {
		w.do("GET", "/up/x", "").want(200)
		w.do("GET", "/down/x", "").want(502)
	}
	w.do("GET", "/up/x?async=true", "", "Idempotency-Key", strings.Repeat("k", 300)).want(400)
	id := w.do("GET", "/up/x?async=true", "").want(202).text("id")
	w.await(id, "succeeded")
	if got := w.row("/up/"); !strings.Contains(got, "answers 200") || !strings.Contains(got, "3 1 1 upstream 1 0 %") {
		t.Errorf("a route that is well: %s", got)
	}
	if got := w.row("/down/"); !strings.Contains(got, "no answer for") || !strings.Contains(got, "proxied only 3 0 0 100 %") {
		t.Errorf("a route that leads nowhere: %s", got)
	}
	overview := w.do("GET", "/", "").body
	if !strings.Contains(overview, "/down/: its upstream fails") || strings.Contains(overview, "/up/: its") || !strings.Contains(overview, `href="/routes" data-admin`) {
		t.Error("the overview does not say which upstream fails")
	}

	_, attention, _ := strings.Cut(overview, `<section id="overview-attention"`)
	if attention, _, _ = strings.Cut(attention, "</section>"); !strings.Contains(attention, "no answer") || strings.Contains(attention, "requests") {
		t.Errorf("it tells of the traffic of others: %s", attention)
	}

	broken = true
	w.do("GET", "/up/x", "").want(503)
	if got := w.row("/up/"); !strings.Contains(got, "answers 503 for") || !strings.Contains(got, "4 1 1") {
		t.Errorf("a route whose upstream broke: %s", got)
	}
	broken = false
	w.do("GET", "/up/x", "").want(200)
	if got := w.row("/up/"); !strings.Contains(got, "answers 200") {
		t.Errorf("a route whose upstream is well again: %s", got)
	}

	// Counters outlive a new configuration, as long as the route leads to the same place.
	w.Apply(web.Settings{}, routes[:1])
	if got := w.row("/up/"); !strings.Contains(got, "5 1 1") {
		t.Errorf("after a reload: %s", got)
	}
	w.Apply(web.Settings{}, []gateway.Route{down.route("/up/")})
	if got := w.row("/up/"); !strings.Contains(got, "not called yet") {
		t.Errorf("after it was led elsewhere: %s", got)
	}
}

// TestRouteJobsTellOfTheirUpstream: what only jobs call is known by these.
func TestRouteJobsTellOfTheirUpstream(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	w := startRoutes(t, up.route("/jobs-only/", func(r *gateway.Route) { r.Async = gateway.Always }))
	for range 3 {
		w.await(w.do("GET", "/jobs-only/x", "").want(202).text("id"), "failed")
	}
	if got := w.row("/jobs-only/"); !strings.Contains(got, "fails for") || !strings.Contains(got, "502 Bad Gateway") || !strings.Contains(got, "0 3 0 100 %") {
		t.Errorf("it says %s", got)
	}
	if overview := w.do("GET", "/", "").body; !strings.Contains(overview, "/jobs-only/: its upstream fails") || !strings.Contains(overview, "3 of its newest 3 jobs failed") {
		t.Error("the overview does not say that the upstream fails")
	}
}

// TestRoutesPageTellsOfTheConfiguration, and is for those who may see the hub from inside.
func TestRoutesPageTellsOfTheConfiguration(t *testing.T) {
	w := start(t)
	if page := w.do("GET", "/routes", "").want(200).body; !strings.Contains(page, "routes: [{path: /api/, upstream:") || !strings.Contains(page, "jobhub serve --config jobhub.yaml") {
		t.Error("the empty page does not teach")
	}
	w.ReportConfig(web.ConfigState{File: "/etc/hub.yaml", LoadedAt: time.Now()})
	if page := w.do("GET", "/routes", "").body; !strings.Contains(page, "/etc/hub.yaml") || !strings.Contains(page, `succeeded">up to date`) {
		t.Error("the page does not say what is in force")
	}
	w.ReportConfig(web.ConfigState{File: "/etc/hub.yaml", LoadedAt: time.Now(), Err: errors.New("line 1: <b>no</b>\nline 2: nor this"), FailedAt: time.Now()})
	if page := w.do("GET", "/routes", "").body; !strings.Contains(page, "Not loaded.") || !strings.Contains(page, "line 1: &lt;b&gt;no") || !strings.Contains(page, "line 2") {
		t.Error("the page does not say why the newest file is not in force")
	}
	// The overview is the same for all tenants: it shows neither text of the file nor traffic of others.
	w.do("GET", "/", "").want(200).shows("The configuration file has errors", `href="/routes" data-admin`, "!line 1", "!hub.yaml")
	operator := w.key(auth.Operator, "default")
	c := w.connect("")
	c.send(`{"type":"hello","token":%q}`, operator)
	c.send(`{"type":"subscribe","id":"r","view":"routes"}`)
	if m := c.until("error"); m["code"] != "forbidden" {
		t.Errorf("an operator's subscription is answered with %v", m)
	}
}
