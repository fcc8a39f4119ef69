package web_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"jobhub/jobs"
)

// answers are the upstream answers that jobs of kind answer end with, by input.
var answers = map[string]*jobs.Response{
	"page": {Status: 200, Header: http.Header{"Content-Type": {"text/html; charset=latin1"}, "Etag": {`"v1"`}, "X-Twice": {"a", "b"}, "Cache-Control": {"max-age=60"}, "Date": {"Thu, 01 Jan 1970 00:00:00 GMT"}},
		Body: []byte("<script>alert(1)</script>\n")},
	"json":       {Status: 201, Header: http.Header{"Content-Type": {"application/json"}, "Location": {"/items/7"}}, Body: []byte("{ \"n\": 1.0 }\n\n")},
	"binary":     {Status: 200, Header: http.Header{"Content-Type": {"application/octet-stream"}}, Body: []byte("\x00\xff\r\n\x80")},
	"untyped":    {Status: 200, Header: http.Header{}, Body: []byte("<html><script>alert(1)</script>")},
	"empty":      {Status: 200, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte{}},
	"nothing":    {Status: 204, Header: http.Header{"X-Trace": {"7"}}},
	"unmodified": {Status: 304, Header: http.Header{"Etag": {`"v1"`}}},
	"large":      {Status: 200, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte(strings.Repeat("0123456789abcde\n", 1<<16))},
	"huge":       {Status: 200, Header: http.Header{"Content-Type": {"text/plain"}}, Body: []byte(strings.Repeat("0123456789abcde\n", 15<<16))},
	"missing":    {Status: 404, Header: http.Header{"Content-Type": {"application/problem+json"}}, Body: []byte(`{"title":"upstream"}`)},
	"broken":     {Status: 503, Header: http.Header{"Content-Type": {"text/plain"}, "Retry-After": {"120"}}, Body: []byte("later\n")},
	"commands": {Status: 200, Header: http.Header{"Content-Type": {"text/plain"}, "X-Mine": {"1"}, "Clear-Site-Data": {`"*"`}, "Refresh": {"0;url=/"}, "Link": {"</x>; rel=preload"},
		"Strict-Transport-Security": {"max-age=1"}, "Www-Authenticate": {"Basic"}, "Nel": {"{}"}, "Report-To": {"{}"}, "Reporting-Endpoints": {"a"}, "Alt-Svc": {"h3"},
		"Cache-Control": {"public"}, "Expires": {"0"}, "Age": {"1"}, "Access-Control-Allow-Origin": {"*"}, "Service-Worker-Allowed": {"/"}, "Set-Login": {"logged-in"},
		"Content-Disposition": {"inline"}, "Sec-Fetch-Made-Up": {"1"}, "Cross-Origin-Opener-Policy": {"unsafe-none"},
		"Integrity-Policy": {"blocked-destinations=(script)"}, "Idempotency-Replayed": {"true"}, "Jobhub-Existing": {"true"}}, Body: []byte("ok")},
	"cookie": {Status: 200, Header: http.Header{"Content-Type": {"text/plain"}, "Set-Cookie": {"a=1"}, "Content-Security-Policy": {"default-src *"},
		"X-Content-Type-Options": {"none"}, "Asyncresult": {"999"}}, Body: []byte("ok")},
}

func answer(_ context.Context, run jobs.Run) (jobs.Result, error) {
	var name string
	if err := json.Unmarshal(run.Job().Input, &name); err != nil {
		return jobs.Result{}, err
	}
	a := answers[name]
	if a.Status >= 400 {
		return jobs.Result{Response: a}, &jobs.Failure{Problem: jobs.NewProblem("upstream_status", "Upstream said no", "%d", a.Status), Never: true}
	}
	return jobs.Result{Response: a}, nil
}

func TestResponseIsTheUpstreamAnswer(t *testing.T) {
	w := start(t)
	for name, a := range answers {
		t.Run(name, func(t *testing.T) {
			submitted := w.do("POST", "/v1/jobs", `{"kind":"answer","input":"`+name+`"}`, "Prefer", "wait=20")
			polled := w.do("GET", submitted.header.Get("Operation-Location")+"/response", "")
			for which, r := range map[string]reply{"waited for": submitted, "polled": polled} {
				r.t = t
				r.want(a.Status).has("AsyncResult", strconv.Itoa(a.Status), "Content-Security-Policy", "sandbox", "X-Content-Type-Options", "nosniff", "Set-Cookie", "",
					"Content-Type", a.Header.Get("Content-Type"), "Etag", a.Header.Get("Etag"), "Retry-After", a.Header.Get("Retry-After"), "Cache-Control", "private, no-store", "Content-Disposition", "attachment")
				if r.body != string(a.Body) {
					t.Errorf("%s: %d bytes came back of %d: %.60q", which, len(r.body), len(a.Body), r.body)
				}
				if strings.Join(r.header["X-Twice"], "|") != strings.Join(a.Header["X-Twice"], "|") || r.header.Get("X-Trace") != a.Header.Get("X-Trace") {
					t.Errorf("%s: headers %v", which, r.header)
				}
				if length := r.header.Get("Content-Length"); (a.Status == 204 || a.Status == 304) && length != "" {
					t.Errorf("%s: Content-Length %q with status %d", which, length, a.Status)
				}
				if r.header.Get("Date") == a.Header.Get("Date") {
					t.Errorf("%s: Date is that of the upstream", which)
				}
			}
			polled.has("Location", a.Header.Get("Location"))
		})
	}
}

func TestResponseWhileUnfinished(t *testing.T) {
	w := start(t)
	unfinished := func(id, progress string) {
		t.Helper()
		r := w.do("GET", "/v1/jobs/"+id+"/response", "").want(202).has("Location", "/v1/jobs/"+id+"/response", "Retry-After", "1", "AsyncResult", "")
		m := r.json()
		if m["id"] != id || m["progress"] != progress || m["links"].(map[string]any)["self"] != "/v1/jobs/"+id || len(m) != 3 {
			t.Errorf("%s, want %s", r.body, progress)
		}
	}
	unfinished(w.submit(`{"kind":"nobody"}`), "IN_QUEUE")
	unfinished(w.submit(`{"kind":"nobody","delay":"1h"}`), "IN_QUEUE")
	id := w.submit(`{"kind":"script","input":"a","retry":{"max_attempts":2,"initial":"1h","max":"1h"}}`)
	w.await(id, "running")
	unfinished(id, "IN_PROGRESS")
	w.script("a").fail("once")
	w.await(id, "retrying")
	unfinished(id, "IN_PROGRESS") // never back
}

func TestResponseOfAJobOfAnotherKind(t *testing.T) {
	w := start(t)
	for _, input := range []string{`{"a":[1.10]}`, `null`, `"text"`} {
		id := w.submit(`{"kind":"echo","input":` + input + `}`)
		w.await(id, "succeeded")
		r := w.do("GET", "/v1/jobs/"+id+"/response", "").want(200).has("AsyncResult", "200", "Content-Type", "application/json", "Content-Security-Policy", "sandbox", "X-Content-Type-Options", "nosniff")
		if r.body != input+"\n" {
			t.Errorf("%q, want %s", r.body, input)
		}
	}
}

func TestResponseOfAJobThatDidNotSucceed(t *testing.T) {
	w := start(t)
	outcome := func(id, state string, status int, code string) {
		t.Helper()
		w.await(id, state)
		p := w.do("GET", "/v1/jobs/"+id+"/response", "").has("AsyncResult", strconv.Itoa(status), "Content-Security-Policy", "sandbox", "X-Content-Type-Options", "nosniff").problem(status, code)
		if p["instance"] != "/v1/jobs/"+id {
			t.Errorf("instance %v", p["instance"])
		}
	}
	id := w.submit(`{"kind":"script","input":"a","retry":{"max_attempts":1}}`)
	w.script("a").fail("<b>no</b>")
	outcome(id, "failed", 500, "handler_failed")

	id = w.submit(`{"kind":"nobody"}`)
	w.do("POST", "/v1/jobs/"+id+"/cancel", "")
	outcome(id, "cancelled", 409, "cancelled")

	outcome(w.submit(`{"kind":"nobody","queue_timeout":"1ms"}`), "failed", 503, "expired")
	outcome(w.submit(`{"kind":"script","input":"slow","timeout":"1ms","retry":{"max_attempts":1}}`), "failed", 504, "timeout")
	outcome(w.submit(`{"kind":"busy","input":false}`), "failed", 500, "tired")
}
