package web_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"jobhub/web/auth"
	"jobhub/web/gateway"
)

// TestRouteForEverybody: a route with auth: [none] needs no credentials, and the job of such a
// request can be read by whoever has its id. Other paths still need a key.
func TestRouteForEverybody(t *testing.T) {
	up := newUpstream(t, sample)
	w := startRoutes(t, up.route("/open/", func(r *gateway.Route) { r.Auth = gateway.Methods{"none"} }), up.route("/both/", func(r *gateway.Route) { r.Auth = gateway.Methods{"none", "key"} }), up.route("/api/"))
	key := w.key(auth.Submitter, "default")
	w.do("GET", "/open/x", "").want(200)
	w.do("GET", "/both/x", "").want(200)
	w.with(key, "GET", "/both/x", "").want(200)
	w.with(key, "GET", "/open/x", "").problem(401, "unauthorized") // it does not take keys
	w.do("GET", "/api/x", "").problem(401, "unauthorized")
	w.with("jh_wrong", "GET", "/both/x", "").problem(401, "unauthorized")
	accepted := w.do("POST", "/open/x", "{}", "Prefer", "respond-async").want(202)
	for { // each request waits for a change
		job := w.do("GET", accepted.header.Get("Operation-Location"), "", "Prefer", "wait=20").want(200)
		if job.text("state") == "succeeded" {
			break
		}
	}
	w.do("GET", accepted.header.Get("Location"), "").want(200).has("AsyncResult", "200")
	own := w.with(key, "POST", "/both/x", "{}", "Prefer", "respond-async").want(202)
	w.do("GET", own.header.Get("Location"), "").problem(401, "unauthorized")
	w.do("GET", "/v1/jobs", "").problem(401, "unauthorized")
	w.do("POST", accepted.header.Get("Operation-Location")+"/retry", "").problem(401, "unauthorized")
}

// TestRouteScopes: a request needs the scopes of its method; the answer names the one that is
// missing.
func TestRouteScopes(t *testing.T) {
	up := newUpstream(t, sample)
	w := startRoutes(t, up.route("/api/", func(r *gateway.Route) {
		r.Scopes = gateway.Scopes{"GET": {"orders.read"}, "HEAD": nil, "*": {"orders.read", "orders.write"}}
	}))
	w.do("GET", "/api/x", "").want(200) // without keys
	make := func(scopes ...string) string {
		_, text, err := w.keys.Create(auth.Key{Role: auth.Submitter, Scopes: scopes}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	none, read, write := make(), make("orders.read"), make("orders.write", "orders.read")
	for _, c := range []struct {
		key, method string
		missing     string // empty if the request passes
	}{
		{none, "GET", "orders.read"}, {none, "HEAD", ""}, {none, "POST", "orders.read"},
		{read, "GET", ""}, {read, "POST", "orders.write"}, {read, "DELETE", "orders.write"},
		{write, "GET", ""}, {write, "POST", ""},
	} {
		for _, way := range []string{"wait=0", "respond-async"} {
			got := w.with(c.key, c.method, "/api/x", "", "Prefer", way)
			switch {
			case c.missing == "" && got.status >= 300:
				t.Errorf("%s %s: %d %s", c.method, way, got.status, got.body)
			case c.missing != "" && !strings.Contains(got.problem(403, "forbidden")["detail"].(string), c.missing):
				t.Errorf("%s %s: %s", c.method, way, got.body)
			}
		}
	}
}

// TestRouteCORS: a route may name the pages that may use it. Its headers stand on the hub's own
// errors, too.
func TestRouteCORS(t *testing.T) {
	up := newUpstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Expose-Headers", "X-Total")
	})
	down := newUpstream(t, sample)
	const app = "https://app.example.com"
	own := func(change func(*gateway.CORS)) func(*gateway.Route) {
		return func(r *gateway.Route) {
			r.CORS = &gateway.CORS{Origins: []string{app}, MaxAge: time.Minute, Expose: "*"}
			change(r.CORS)
		}
	}
	w := startRoutes(t, up.route("/api/", own(func(c *gateway.CORS) { c.Methods, c.Headers = []string{"GET", "PUT"}, []string{"X-One"} })),
		up.route("/secret/", own(func(c *gateway.CORS) { c.Credentials, c.Expose = true, "" })), up.route("/all/", own(func(c *gateway.CORS) { c.Origins = []string{"*"} })),
		down.route("/down/", own(func(*gateway.CORS) {})), up.route("/other/"))
	down.Close() // now that the hub can't get its port
	w.do("OPTIONS", "/api/x", "", "Origin", app, "Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", "x-two").want(204).
		has("Access-Control-Allow-Origin", app, "Access-Control-Allow-Methods", "GET, PUT", "Access-Control-Allow-Headers", "X-One", "Access-Control-Max-Age", "60")
	w.do("GET", "/secret/x", "", "Origin", app).want(200).has("Access-Control-Allow-Origin", app, "Access-Control-Allow-Credentials", "true", "Access-Control-Expose-Headers", "X-Total", "Vary", "Origin")
	w.do("GET", "/all/x", "", "Origin", "https://anything.example").want(200).has("Access-Control-Allow-Origin", "*")
	w.do("GET", "/down/x", "", "Origin", app).want(502).has("Access-Control-Allow-Origin", app)
	w.do("GET", "/other/x", "", "Origin", app).problem(403, "forbidden")
	w.do("GET", "/api/x", "", "Origin", "https://evil.example").problem(403, "forbidden")
	w.do("GET", "/v1/jobs", "", "Origin", app).problem(403, "forbidden")
	w.key(auth.Submitter, "default")
	w.do("GET", "/api/x", "", "Origin", app).want(401).has("Access-Control-Allow-Origin", app)
}
