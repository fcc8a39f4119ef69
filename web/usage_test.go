package web_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"jobhub/web/auth"
)

// TestUsage: calls of routes and of the API are counted by consumer, route and status, over a
// restart. Who may not see all sees its own.
func TestUsage(t *testing.T) {
	up, dir := newUpstream(t, sample), t.TempDir()
	w := startIn(t, dir, nil)
	routes := "routes: [{path: /api/, upstream: UP, limits: [{rate: 3/24h, per: consumer}]}]"
	w.applyConfig(up, routes)
	operator, ann, bob, other := w.key(auth.Operator, "default"), w.key(auth.Submitter, "default"), w.key(auth.Submitter, "default"), w.key(auth.Admin, "other")
	for range 4 { // the last one is refused
		w.with(ann, "POST", "/api/x", "12345")
	}
	w.with(bob, "POST", "/v1/jobs", `{"kind":"echo"}`).want(202)
	w.with(bob, "GET", "/", "").want(200) // a page is not counted
	w.close()
	w = startIn(t, dir, nil)
	w.applyConfig(up, routes)
	ask := func(key, query string) string {
		t.Helper()
		return w.with(key, "GET", "/v1/usage?"+query, "").want(200).body
	}
	rows := ask(operator, "by=route,status")
	for _, want := range []string{`"route":"/api/","status":200`, `"route":"/api/","status":429`, `"route":"POST /v1/jobs","status":202`} {
		if !strings.Contains(rows, want) {
			t.Errorf("%s is not in %s", want, rows)
		}
	}
	if !strings.Contains(rows, `"count":3`) || !strings.Contains(rows, `"bytes_in":15`) {
		t.Errorf("%s", rows)
	}
	all, own := ask(operator, "by=consumer"), ask(ann, "by=consumer")
	if n := strings.Count(all, `"consumer":`); n != 3 { // with the operator, who asks
		t.Errorf("%d consumers in %s", n, all)
	}
	if n := strings.Count(own, `"consumer":`); n != 1 || !strings.Contains(own, `"count":4`) {
		t.Errorf("Ann sees %s", own)
	}
	if got := ask(other, "by=consumer"); strings.Contains(got, `"consumer":`) {
		t.Errorf("another tenant sees %s", got)
	}
	csv := w.with(operator, "GET", "/v1/usage?by=route&step=1d", "", "Accept", "text/csv").want(200)
	if !strings.HasPrefix(csv.header.Get("Content-Type"), "text/csv") || !strings.Contains(csv.body, "/api/") {
		t.Errorf("%v %s", csv.header, csv.body)
	}
	w.with(operator, "GET", "/v1/usage?by=nothing", "").problem(400, "bad_message")
	w.do("GET", "/v1/usage", "").problem(401, "unauthorized")
	from := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	if got := ask(operator, fmt.Sprintf("from=%s&to=%s", from, time.Now().Add(2*time.Hour).UTC().Format(time.RFC3339))); strings.Contains(got, `"count":4`) {
		t.Errorf("in the future: %s", got)
	}
}
