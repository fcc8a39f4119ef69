package web_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"jobhub/jobs/egress"
)

// serveDocument makes the API orders with a version of one route, which is open to everybody with
// a key.
func (c *catalogue) serveDocument(route string) {
	c.t.Helper()
	c.with(c.owner, "PUT", "/v1/apis/orders", `{"access":"open"}`).want(201)
	c.with(c.owner, "PUT", "/v1/apis/orders/versions/v1", fmt.Sprintf(`{"openapi":%s,"routes":[{"path":"/api/","strip":"/api",%s}]}`, ordersDocument(""), route)).want(201)
	c.with(c.owner, "POST", "/v1/apis/orders/versions/v1/publish", "").want(200)
}

// TestRouteValidate: requests that are not as the document says are refused with a pointer for
// each fault, and do not reach the upstream; the others arrive byte for byte.
func TestRouteValidate(t *testing.T) {
	c := startCatalogue(t)
	c.serveDocument(`"validate":"strict","max_body":"1KiB","upstream":"` + c.up.URL + `"`)
	for _, test := range []struct {
		method, path, body, contentType string
		status                          int
		pointer                         string
	}{
		{"GET", "/api/orders/x", "", "", 422, "/path/id"},
		{"GET", "/api/nothing", "", "", 404, ""},
		{"DELETE", "/api/orders/1", "", "", 405, ""},
		{"POST", "/api/orders/1", `{"total":"x"}`, "application/json", 422, "/total"},
		{"POST", "/api/orders/1", `{`, "application/json", 400, ""},
		{"POST", "/api/orders/1", `a=b`, "application/x-www-form-urlencoded", 415, ""},
		{"POST", "/api/orders/1", `{"total":1,"x":"` + strings.Repeat("x", 1024) + `"}`, "application/json", 413, ""},
	} {
		r := c.with(c.caller, test.method, test.path, test.body, "Content-Type", test.contentType)
		r.want(test.status).has("Content-Type", "application/problem+json")
		if test.pointer != "" && !strings.Contains(r.body, `"pointer":"`+test.pointer+`"`) {
			t.Errorf("%s %s: %s", test.method, test.path, r.body)
		}
		if test.status == 405 && r.header.Get("Allow") == "" {
			t.Errorf("%v", r.header)
		}
	}
	if n := c.up.hits.Load(); n != 0 {
		t.Errorf("the upstream got %d requests", n)
	}
	body := `{ "total": 1e400, "other":[] }`
	c.with(c.caller, "POST", "/api/orders/1", body).want(200).has("X-Saw", fmt.Sprintf("POST /orders/1 %d %x", len(body), body))
	c.with(c.caller, "POST", "/api/orders/1", `{"total":"x"}`, "Prefer", "respond-async").want(422)            // before it is a job
	c.with(c.caller, "POST", "/api/orders/1", body, "Prefer", "respond-async").problem(422, "blocked_address") // jobs have the guard that all jobs have, which opens nothing here
	all := c.with(c.caller, "POST", "/v1/explain", `{"method":"POST","url":"/api/orders/1","headers":{"Content-Type":"application/json"},"body":"{}"}`).want(200)
	if !strings.Contains(all.body, `"verdict":"refuse"`) {
		t.Errorf("%s", all.body)
	}
}

// TestRouteReports: with report, requests and answers that are not as the document says pass, and
// are logged.
func TestRouteReports(t *testing.T) {
	var log bytes.Buffer
	c := &catalogue{world: startIn(t, t.TempDir(), func(p *parts) {
		p.guard = egress.New(egress.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
		p.web.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	})}
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, r.URL.Query().Get("answer"))
	})
	c.serveDocument(`"validate":"report","upstream":"` + up.URL + `"`)
	for _, test := range []struct {
		method, path, body string
		request, answer    bool // whether it is wrong
	}{
		{"GET", "/api/orders/1?answer={\"id\":1}", "", false, false},
		{"GET", "/api/orders/x?answer={\"id\":1}", "", true, false},
		{"GET", "/api/orders/1?answer={\"id\":\"x\"}", "", false, true},
		{"GET", "/api/nothing?answer=1", "", true, false},
		{"POST", "/api/orders/1?answer=1", `{}`, true, true}, // 200 is not described
	} {
		log.Reset()
		r := c.do(test.method, strings.ReplaceAll(test.path, `"`, "%22"), test.body).want(200)
		if _, want, _ := strings.Cut(test.path, "answer="); r.body != want {
			t.Errorf("%s: %s", test.path, r.body)
		}
		c.served.Wait() // the answer ends before its check
		if text := log.String(); strings.Contains(text, "a request is not") != test.request || strings.Contains(text, "an answer is not") != test.answer {
			t.Errorf("%s: %s", test.path, text)
		}
	}
}

// TestRouteMock: a route without an upstream answers with the examples of the document.
func TestRouteMock(t *testing.T) {
	c := startCatalogue(t)
	c.serveDocument(`"mock":true,"validate":"strict"`)
	c.with(c.caller, "GET", "/api/orders/1", "").want(200).has("Content-Type", "application/json")
	if r := c.with(c.caller, "GET", "/api/orders/1", ""); r.body != `{"id":9007199254740993}` {
		t.Errorf("%s", r.body)
	}
	c.with(c.caller, "HEAD", "/api/orders/1", "").want(200)
	c.with(c.caller, "POST", "/api/orders/1", `{"total":1}`).want(201)
	c.with(c.caller, "POST", "/api/orders/1", `{}`).want(422)
	c.with(c.caller, "GET", "/api/orders/1", "", "Prefer", "respond-async").want(200) // there is nothing to wait for
	c.with(c.caller, "GET", "/api/orders/1", "", "Prefer", "code=404").problem(422, "bad_message")
	c.with(c.caller, "GET", "/api/orders/x", "").want(422)
	c.with(c.owner, "PUT", "/v1/apis/orders/versions/v2", `{"mock":true,"openapi":`+ordersDocument("")+`,"routes":[{"path":"/mock","strip":"/mock"}]}`).want(201)
	c.with(c.owner, "GET", "/mock/orders/1", "").want(200)
	c.with(c.caller, "GET", "/mock/orders/1", "").problem(404, "not_found")
	if doc := c.with(c.owner, "GET", "/v1/apis/orders/versions/v2/openapi.json", "").want(200).body; !strings.Contains(doc, `"servers":[{"url":"`) || !strings.Contains(doc, `/mock"}]`) {
		t.Errorf("%s", doc)
	}
}
