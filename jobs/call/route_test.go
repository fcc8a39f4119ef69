package call

import (
	"net/http"
	"strings"
	"testing"

	"jobhub/jobs"
	"jobhub/jobs/egress"
)

// TestUpstreamOfRoute: a job that came by a route reaches the upstream that the operator
// wrote, whatever its address, and nothing else; a redirect is its answer.
func TestUpstreamOfRoute(t *testing.T) {
	canary, touched := serveOn(t, "127.0.0.1:0", func(http.ResponseWriter, *http.Request) {})
	up, _ := serveOn(t, "127.0.0.1:0", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, canary.URL, http.StatusFound)
	})
	c := newCaller(Options{})
	run := func(url string, upstreams ...string) (jobs.Result, error) {
		job := &jobs.Job{Attempt: 1, Input: jobs.Value(`{"url":"` + url + `"}`), Via: jobs.Via{Upstreams: upstreams}}
		return c.run(t.Context(), job, c.memory(1, jobs.Via{}), make(pieces, 10))
	}
	res, err := run(up.URL+"/x", up.URL)
	if err != nil || res.Response.Status != 302 || res.Response.Header.Get("Location") != canary.URL {
		t.Errorf("%+v %v", res.Response, err)
	}
	if _, err := run(up.URL + "/x"); err == nil {
		t.Error("reached without a route")
	} else {
		mustFail(t, err, jobs.BlockedAddress, true)
	}
	for _, other := range []string{canary.URL, strings.Replace(up.URL, "127.0.0.1", "127.0.0.2", 1), strings.Replace(up.URL, "http:", "https:", 1)} {
		_, err := run(up.URL+"/x", other)
		mustFail(t, err, jobs.BlockedAddress, true)
	}
	if touched.Load() != 0 {
		t.Error("the redirect was followed")
	}
}

// TestRangesChange: what the operator opens and closes counts from the next connection on.
func TestRangesChange(t *testing.T) {
	up := serve(t, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Connection", "close") })
	open := new(egress.Ranges)
	c := newCaller(Options{Opened: open})
	in := map[string]any{"url": up.URL}
	mustFail(t, second(attempt(t, c, in)), jobs.BlockedAddress, true)
	open.Set(loopback)
	if _, err := attempt(t, c, in); err != nil {
		t.Error(err)
	}
	open.Set(nil)
	mustFail(t, second(attempt(t, c, in)), jobs.BlockedAddress, true)
}

// TestSeveralValues: a header that is sent several times, and the job's trace.
func TestSeveralValues(t *testing.T) {
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	got := make(chan http.Header, 1)
	up := serve(t, func(w http.ResponseWriter, r *http.Request) { got <- r.Header })
	c := newCaller(Options{Allow: loopback})
	job := &jobs.Job{Attempt: 1, Input: jobs.Value(`{"url":"` + up.URL + `","headers":{"x-many":["a","b, c"],"x-one":["1"]}}`), Via: jobs.Via{Trace: parent + " a=1"}}
	if _, err := c.run(t.Context(), job, c.memory(1, jobs.Via{}), make(pieces, 10)); err != nil {
		t.Fatal(err)
	}
	h := <-got
	if many := h["X-Many"]; len(many) != 2 || many[1] != "b, c" || h.Get("X-One") != "1" || h.Get("Traceparent") != parent || h.Get("Tracestate") != "a=1" {
		t.Errorf("%v", h)
	}
	for _, bad := range []string{`[1]`, `["a\nb"]`, `{}`, `null`, `true`, `[null]`} {
		if err := c.check(jobs.Value(`{"url":"`+up.URL+`","headers":{"x":`+bad+`}}`), jobs.Via{}); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}
