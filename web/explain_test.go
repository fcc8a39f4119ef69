package web_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"jobhub/web/gateway"
)

// explainedStages returns the answer of explain, each stage as "name verdict".
func explainedStages(t *testing.T, body string) (route string, status int, all []string) {
	t.Helper()
	var out struct {
		Route  string
		Status int
		Stages []struct{ Stage, Verdict, Detail string }
	}
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		t.Fatal(err)
	}
	for _, s := range out.Stages {
		all = append(all, s.Stage+" "+s.Verdict)
		if s.Detail == "" {
			t.Errorf("stage %s has no detail: %s", s.Stage, body)
		}
	}
	return out.Route, out.Status, all
}

// TestExplain: explain says what each stage decides, and nothing is sent or stored.
func TestExplain(t *testing.T) {
	up := newUpstream(t, sample)
	w := startRoutes(t, up.route("/api/", func(r *gateway.Route) { r.Scopes = gateway.Scopes{"GET": {"orders.read"}} }))
	for _, c := range []struct {
		in, route string
		status    int
		last      string
	}{
		{`{"method":"GET","url":"/api/orders/7"}`, "/api/", 0, "upstream answer"},
		{`{"method":"POST","url":"/api/orders","headers":{"Prefer":"respond-async"},"body":"{}"}`, "/api/", 0, "upstream answer"},
		{`{"url":"/v1/jobs"}`, "GET /v1/jobs", 0, "upstream answer"},
		{`{"method":"POST","url":"/v1/jobs","body":"{}"}`, "POST /v1/jobs", 0, "upstream answer"},
		{`{"method":"POST","url":"/login"}`, "POST /login", 0, "upstream answer"},
		{`{"url":"/nothing"}`, "", 404, "match refuse"},
		{`{"url":"https://elsewhere.example/api/x"}`, "", 421, "match refuse"},
		{`{"url":"/api/%2e%2e/x"}`, "", 404, "match refuse"},
		{`{"url":"/api/x","headers":{"Origin":["https://evil.example"]}}`, "/api/", 403, "cors refuse"},
	} {
		route, status, all := explainedStages(t, w.do("POST", "/v1/explain", c.in).want(200).body)
		if route != c.route || status != c.status || !slices.Contains(all, c.last) {
			t.Errorf("%s: route %q, status %d, stages %s", c.in, route, status, strings.Join(all, ", "))
		}
	}
	if _, _, all := explainedStages(t, w.do("GET", "/v1/explain?method=DELETE&url=/api/x", "").want(200).body); fmt.Sprint(all) != "[match pass cors pass who pass may pass validate pass limits pass cache pass transform_request pass upstream answer transform_response pass account pass]" {
		t.Errorf("%s", all)
	}
	w.do("GET", "/v1/explain?url=api", "").problem(422, "bad_message")
	w.do("POST", "/v1/explain", `{"url":"/api/x","headers":{"A":1}}`).problem(422, "bad_message")
	w.do("GET", "/v1/explain?url=/x&what=1", "").want(400)
	if n := up.hits.Load(); n != 0 {
		t.Errorf("the upstream got %d requests", n)
	}
	w.nothingStored()
}
