package web_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"jobhub/jobs/egress"
	"jobhub/web"
	"jobhub/web/auth"
	"jobhub/web/gateway"
	"jobhub/web/limit"
)

// ordersDocument is an OpenAPI document of orders; more are further members of the operation.
func ordersDocument(more string) string {
	return `{"openapi":"3.1.0","info":{"title":"Orders","version":"1"},"paths":{"/orders/{id}":{"get":{"operationId":"getOrder","parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"integer"}}` + more + `],
		"responses":{"200":{"description":"The order.","content":{"application/json":{"schema":{"type":"object","required":["id"],"properties":{"id":{"type":"integer"}}},"example":{"id":9007199254740993}}}}}},
		"post":{"requestBody":{"required":true,"content":{"application/json":{"schema":{"type":"object","required":["total"],"properties":{"total":{"type":"number"}}}}}},"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"integer"}}],"responses":{"201":{"description":"Made."}}}}}}`
}

// breakingDocument needs a parameter more than ordersDocument.
func breakingDocument() string {
	return ordersDocument(`,{"name":"region","in":"query","required":true,"schema":{"type":"string"}}`)
}

// catalogue is a world with keys of two teams and two tenants, whose APIs may lead to this machine.
type catalogue struct {
	*world
	admin, owner, viewer, other, caller, foreign, foreignAdmin string
	up                                                         *upstream
}

func startCatalogue(t *testing.T) *catalogue {
	t.Helper()
	return openCatalogue(t, t.TempDir())
}

func openCatalogue(t *testing.T, dir string) *catalogue {
	t.Helper()
	c := &catalogue{world: startIn(t, dir, func(p *parts) {
		p.guard = egress.New(egress.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
	})}
	c.up = newUpstream(t, sample)
	keys := []struct {
		to  *string
		key auth.Key
	}{
		{&c.admin, auth.Key{Role: auth.Admin}}, {&c.owner, auth.Key{Role: auth.Operator, Team: "shop"}}, {&c.viewer, auth.Key{Role: auth.Viewer, Team: "shop"}},
		{&c.other, auth.Key{Role: auth.Operator, Team: "else"}}, {&c.caller, auth.Key{Role: auth.Submitter}},
		{&c.foreign, auth.Key{Role: auth.Operator, Team: "shop", Tenant: "acme"}}, {&c.foreignAdmin, auth.Key{Role: auth.Admin, Tenant: "acme"}},
	}
	for _, k := range keys {
		_, text, err := c.keys.Create(k.key, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		*k.to = text
	}
	c.plans("free", "gold")
	return c
}

// plans sets the plans of the configuration.
func (c *catalogue) plans(names ...string) {
	c.t.Helper()
	set := web.Settings{Plans: map[string]*limit.RuleSet{}}
	for _, name := range names {
		set.Plans[name] = nil
	}
	if err := c.Apply(set, nil); err != nil {
		c.t.Fatal(err)
	}
}

// version is the JSON of a version whose route leads to the upstream.
func (c *catalogue) version(document, path string) string {
	return fmt.Sprintf(`{"openapi":%s,"routes":[{"path":%q,"strip":%q,"upstream":%q,"scopes":{"*":["orders.call"]}}]}`, document, path, strings.TrimSuffix(path, "/"), c.up.URL)
}

// orders makes the API orders of the team shop with a version v1, published if asked for.
func (c *catalogue) orders(api string, published bool) {
	c.t.Helper()
	c.with(c.owner, "PUT", "/v1/apis/orders", api).want(201).has("Location", "/v1/apis/orders")
	c.with(c.owner, "PUT", "/v1/apis/orders/versions/v1", c.version(ordersDocument(""), "/api/v1/")).want(201)
	if published {
		c.with(c.owner, "POST", "/v1/apis/orders/versions/v1/publish", "").want(200)
	}
}

// TestCatalogue: the life of an API, as its owner and its callers see it.
func TestCatalogue(t *testing.T) {
	c := startCatalogue(t)
	c.orders(`{"title":"Orders","tags":["shop"]}`, false)

	// A draft is there for its team only.
	for _, key := range []string{c.caller, c.other, c.foreign, c.foreignAdmin} {
		c.with(key, "GET", "/v1/apis/orders", "").problem(404, "not_found")
		c.with(key, "GET", "/v1/apis/orders/versions/v1", "").problem(404, "not_found")
		c.with(key, "GET", "/api/v1/orders/1", "").problem(404, "not_found")
	}
	c.with(c.owner, "GET", "/api/v1/orders/1", "").want(200).has("X-Saw", "GET /orders/1 0")
	c.with(c.admin, "GET", "/api/v1/orders/1", "").want(200)
	c.with(c.viewer, "GET", "/v1/apis/orders/versions/v1", "").want(200)

	// Published: access is needed.
	c.with(c.owner, "POST", "/v1/apis/orders/versions/v1/publish", "").want(200)
	refused := c.with(c.caller, "GET", "/api/v1/orders/1", "")
	if p := refused.problem(403, "forbidden"); !strings.Contains(p["detail"].(string), "POST /v1/access") || !strings.Contains(refused.header.Get("Link"), "/catalog/orders/v1>") {
		t.Errorf("%v %v", p, refused.header)
	}
	x := c.with(c.caller, "POST", "/v1/access", `{"api":"orders","version":"v1","plan":"gold"}`).want(201)
	again := c.with(c.caller, "POST", "/v1/access", `{"api":"orders","version":"v1","plan":"gold"}`).want(200)
	id := x.text("id")
	if x.text("state") != "pending" || again.text("id") != id {
		t.Errorf("%s %s", x.body, again.body)
	}
	c.with(c.caller, "GET", "/api/v1/orders/1", "").problem(403, "forbidden")
	c.with(c.caller, "POST", "/v1/access/"+id+"/approve", "").problem(403, "forbidden")
	c.with(c.foreign, "POST", "/v1/access/"+id+"/approve", "").problem(404, "not_found")
	c.with(c.owner, "POST", "/v1/access/"+id+"/approve", "").want(200)
	c.with(c.caller, "GET", "/api/v1/orders/1", "").want(200).has("X-Saw", "GET /orders/1 0", "Content-Security-Policy", "sandbox")
	c.with(c.owner, "POST", "/v1/access/"+id+"/suspend", "").want(200)
	c.with(c.caller, "GET", "/api/v1/orders/1", "").problem(403, "forbidden")
	c.with(c.owner, "POST", "/v1/access/"+id+"/approve", "").want(200)

	// Deprecated, then retired.
	c.with(c.owner, "PUT", "/v1/apis/orders/versions/v2", c.version(breakingDocument(), "/api/v2/")).want(201)
	c.with(c.owner, "POST", "/v1/apis/orders/versions/v1/deprecate", `{"successor":"v2"}`).problem(422, "bad_message") // a draft
	c.with(c.owner, "POST", "/v1/apis/orders/versions/v2/publish", "").want(200)
	c.with(c.owner, "POST", "/v1/apis/orders/versions/v1/deprecate", `{"sunset":"2001-01-01T00:00:00Z"}`).problem(422, "bad_message")
	c.with(c.owner, "POST", "/v1/apis/orders/versions/v1/deprecate", `{"sunset":"2096-02-29T00:00:00Z","successor":"v2"}`).want(200)
	old := c.with(c.caller, "GET", "/api/v1/orders/1", "").want(200).has("Sunset", "Wed, 29 Feb 2096 00:00:00 GMT")
	links := strings.Join(old.header["Link"], ", ")
	if at := old.header.Get("Deprecation"); !strings.HasPrefix(at, "@") || !strings.Contains(links, `/catalog/orders/v1>; rel="deprecation"`) || !strings.Contains(links, `/catalog/orders/v2>; rel="successor-version"`) {
		t.Errorf("%v", old.header)
	}
	c.with(c.owner, "POST", "/v1/apis/orders/versions/v1/retire", "").want(200)
	for _, key := range []string{c.caller, c.owner, c.admin} {
		gone := c.with(key, "GET", "/api/v1/orders/1", "")
		if p := gone.want(410).json(); p["type"] != "urn:jobhub:problem:gone" || !strings.Contains(p["detail"].(string), "orders/v2") || !strings.Contains(strings.Join(gone.header["Link"], ","), "successor-version") {
			t.Errorf("%v", p)
		}
	}
	c.with(c.foreign, "GET", "/api/v1/orders/1", "").problem(404, "not_found")
	c.with(c.owner, "PUT", "/v1/apis/orders/versions/v1", c.version(ordersDocument(""), "/api/v1/")).problem(409, "conflict")
	c.with(c.owner, "DELETE", "/v1/apis/orders/versions/v1", "").problem(409, "conflict")
	c.with(c.owner, "DELETE", "/v1/apis/orders", "").problem(409, "conflict")
	c.with(c.owner, "POST", "/v1/apis/orders/versions/v2/retire", "").want(200)
	c.with(c.owner, "DELETE", "/v1/apis/orders", "").want(204)
	c.with(c.owner, "GET", "/v1/apis/orders", "").problem(404, "not_found")
	c.with(c.owner, "GET", "/api/v1/orders/1", "").problem(404, "not_found")
	if all := c.with(c.owner, "GET", "/v1/access", "").want(200).json()["access"].([]any); len(all) > 0 {
		t.Errorf("access is left: %v", all)
	}
}

// TestCatalogueStates: from each state each move, and what the answer is.
func TestCatalogueStates(t *testing.T) {
	c := startCatalogue(t)
	c.with(c.owner, "PUT", "/v1/apis/orders", "").want(201)
	reach := map[string][]string{"draft": nil, "published": {"publish"}, "deprecated": {"publish", "deprecate"}, "retired": {"publish", "retire"}}
	allowed := map[string]string{"draft publish": "published", "published publish": "published", "published deprecate": "deprecated", "published retire": "retired",
		"deprecated deprecate": "deprecated", "deprecated retire": "retired", "retired retire": "retired"}
	for state, way := range reach {
		for _, move := range []string{"publish", "deprecate", "retire", "DELETE", "PUT"} {
			name := state + "-" + strings.ToLower(move)
			at := "/v1/apis/orders/versions/" + name
			body := c.version(ordersDocument(""), "/api/"+name+"/")
			c.with(c.owner, "PUT", at, body).want(201)
			for _, step := range way {
				c.with(c.owner, "POST", at+"/"+step, "").want(200)
			}
			switch move {
			case "DELETE":
				c.with(c.owner, "DELETE", at, "").want(map[bool]int{true: 204, false: 409}[state == "draft"])
			case "PUT":
				c.with(c.owner, "PUT", at, body).want(map[bool]int{true: 409, false: 200}[state == "retired"])
			default:
				r := c.with(c.owner, "POST", at+"/"+move, "")
				if to := allowed[state+" "+move]; to == "" {
					r.problem(409, "conflict")
				} else if r.want(200).text("state") != to {
					t.Errorf("%s %s: %s", state, move, r.body)
				}
			}
		}
	}
}

// TestCatalogueRoles: who may do what with an API of the team shop.
func TestCatalogueRoles(t *testing.T) {
	c := startCatalogue(t)
	c.orders("", true)
	body := c.version(ordersDocument(""), "/api/v1/")
	x := c.with(c.caller, "POST", "/v1/access", `{"api":"orders","version":"v1"}`).want(201).text("id")
	token := c.with(c.admin, "POST", "/v1/tokens", `{"queues":["q"]}`).want(200).text("token")
	for _, test := range []struct{ method, path, body, who string }{
		{"GET", "/v1/apis/orders", "", "admin owner viewer other caller"},
		{"GET", "/v1/apis/orders/versions/v1", "", "admin owner viewer other caller"},
		{"GET", "/v1/apis/orders/versions/v1/openapi.json", "", "admin owner viewer other caller"},
		{"POST", "/v1/apis/orders/versions/v1/diff", ordersDocument(""), "admin owner viewer other caller"},
		{"PUT", "/v1/apis/orders", `{"team":"shop"}`, "admin owner"},
		{"PUT", "/v1/apis/orders/versions/v1", body, "admin owner"},
		{"POST", "/v1/apis/orders/versions/v1/publish", "", "admin owner"},
		{"POST", "/v1/apis/orders/versions/v1/deprecate", "", "admin owner"},
		{"POST", "/v1/access/" + x + "/approve", "", "admin owner"},
		{"POST", "/v1/access/" + x + "/suspend", "", "admin owner"},
		{"GET", "/v1/access/" + x, "", "admin owner viewer caller"},
		{"POST", "/v1/apis/orders/versions/v1/retire", "", "admin owner"},
	} {
		for _, who := range []string{"foreign", "token", "viewer", "other", "caller", "owner", "admin"} {
			key := map[string]string{"foreign": c.foreign, "token": token, "viewer": c.viewer, "other": c.other, "caller": c.caller, "owner": c.owner, "admin": c.admin}[who]
			r := c.with(key, test.method, test.path, test.body)
			switch may := strings.Contains(test.who, who); {
			case may && r.status != 200:
				t.Errorf("%s %s by %s: %d %s", test.method, test.path, who, r.status, r.body)
			case may:
			case who == "foreign" && test.method == "PUT" && strings.Count(test.path, "/") == 3: // makes its own
				r.want(map[bool]int{true: 201}[true])
				c.with(c.foreign, "DELETE", "/v1/apis/orders", "").want(204)
			case who == "foreign", strings.HasPrefix(test.path, "/v1/access/") && who == "other":
				r.problem(404, "not_found")
			case strings.HasPrefix(test.path, "/v1/access/") && who == "token":
				r.problem(403, "forbidden")
			default:
				r.problem(403, "forbidden")
			}
		}
	}
	if routes := c.with(c.caller, "GET", "/v1/apis/orders/versions/v1", "").json()["routes"]; routes != nil {
		t.Errorf("a caller sees where routes lead: %v", routes)
	}
	if routes := c.with(c.owner, "GET", "/v1/apis/orders/versions/v1", "").json()["routes"]; routes == nil {
		t.Error("the owner does not see its routes")
	}
}

// TestCatalogueBreaking: what breaks callers is refused by name, also within a major number.
func TestCatalogueBreaking(t *testing.T) {
	c := startCatalogue(t)
	c.orders("", true)
	named := func(r reply) {
		t.Helper()
		list, _ := r.problem(409, "conflict")["errors"].([]any)
		if len(list) == 0 || !strings.Contains(fmt.Sprint(list), "region") || !strings.Contains(fmt.Sprint(list), "GET /orders/{id}") {
			t.Errorf("%s", r.body)
		}
	}
	named(c.with(c.owner, "PUT", "/v1/apis/orders/versions/v1", c.version(breakingDocument(), "/api/v1/")))
	diff := c.with(c.caller, "POST", "/v1/apis/orders/versions/v1/diff", breakingDocument()).want(200).json()
	if b := diff["breaking"].([]any); len(b) != 1 || b[0].(map[string]any)["path"] != "/orders/{id}" || b[0].(map[string]any)["method"] != "GET" || b[0].(map[string]any)["text"] == "" {
		t.Errorf("%v", diff)
	}
	if same := c.with(c.caller, "POST", "/v1/apis/orders/versions/v1/diff", ordersDocument("")).want(200).body; same != `{"breaking":[],"compatible":[]}`+"\n" {
		t.Errorf("%s", same)
	}
	c.with(c.owner, "PUT", "/v1/apis/orders/versions/v1", c.version(ordersDocument(`,{"name":"region","in":"query","schema":{"type":"string"}}`), "/api/v1/")).want(200)
	c.with(c.owner, "PUT", "/v1/apis/orders/versions/v1.1", c.version(breakingDocument(), "/api/v1.1/")).want(201)
	named(c.with(c.owner, "POST", "/v1/apis/orders/versions/v1.1/publish", ""))
	c.with(c.owner, "PUT", "/v1/apis/orders/versions/v2", c.version(breakingDocument(), "/api/v2/")).want(201)
	c.with(c.owner, "POST", "/v1/apis/orders/versions/v2/publish", "").want(200)
	c.with(c.caller, "POST", "/v1/apis/orders/versions/v1/diff", `{"openapi":"3.1.0"}`).problem(422, "bad_message")
	c.with(c.caller, "POST", "/v1/apis/orders/versions/v1/diff", "openapi: 3.1.0\ninfo: {title: t, version: '1'}\npaths: {}\n", "Content-Type", "application/yaml").want(200)
}

// TestCatalogueAccess: each decision from each state, automatic approval, and the plans that it gives.
func TestCatalogueAccess(t *testing.T) {
	c := startCatalogue(t)
	c.orders("", true)
	reach := map[string][]string{"pending": nil, "active": {"approve"}, "rejected": {"reject"}, "suspended": {"approve", "suspend"}}
	allowed := map[string]string{"pending approve": "active", "active approve": "active", "rejected approve": "active", "suspended approve": "active",
		"pending reject": "rejected", "rejected reject": "rejected", "active suspend": "suspended", "suspended suspend": "suspended"}
	for state, way := range reach {
		for _, decision := range []string{"approve", "reject", "suspend", "ask"} {
			key := c.key(auth.Submitter, "default")
			id := c.with(key, "POST", "/v1/access", `{"api":"orders","version":"v1"}`).want(201).text("id")
			for _, step := range way {
				c.with(c.owner, "POST", "/v1/access/"+id+"/"+step, "").want(200)
			}
			if decision == "ask" { // again
				want := map[string]string{"pending": "pending", "active": "active", "rejected": "pending", "suspended": "suspended"}[state]
				if r := c.with(key, "POST", "/v1/access", `{"api":"orders","version":"v1"}`).want(200); r.text("state") != want || r.text("id") != id {
					t.Errorf("%s, asked again: %s", state, r.body)
				}
				continue
			}
			r := c.with(c.owner, "POST", "/v1/access/"+id+"/"+decision, "")
			if to := allowed[state+" "+decision]; to == "" {
				r.problem(409, "conflict")
			} else if r.want(200).text("state") != to {
				t.Errorf("%s %s: %s", state, decision, r.body)
			}
		}
	}
	c.with(c.owner, "PUT", "/v1/apis/orders", `{"approval":"auto","plans":["free"]}`).want(200)
	for plan, want := range map[string]string{"": "active free", "free": "active free", "gold": "pending gold"} {
		key := c.key(auth.Submitter, "default")
		if r := c.with(key, "POST", "/v1/access", fmt.Sprintf(`{"api":"orders","version":"v1","plan":%q}`, plan)).want(201); r.text("state")+" "+r.text("plan") != want {
			t.Errorf("plan %q: %s, want %s", plan, r.body, want)
		}
		if want == "active free" {
			c.with(key, "GET", "/api/v1/orders/1", "").want(200)
			c.with(key, "POST", "/v1/access", `{"api":"orders","version":"v1","plan":"gold"}`).problem(409, "conflict")
		}
	}
	for _, body := range []string{`{"api":"orders"}`, `{"version":"v1"}`, `{"api":"nothing","version":"v1"}`, `{"api":"orders","version":"v9"}`, `{"api":"orders","version":"v1","plan":"none"}`, `{"api":"orders","version":"v1","x":1}`} {
		c.with(c.caller, "POST", "/v1/access", body).problem(422, "bad_message")
	}
	c.with(c.viewer, "POST", "/v1/access", `{"api":"orders","version":"v1"}`).problem(403, "forbidden") // it may not call anything
	c.with(c.owner, "PUT", "/v1/apis/orders", `{"access":"open"}`).want(200)
	c.with(c.key(auth.Submitter, "default"), "GET", "/api/v1/orders/1", "").problem(403, "forbidden") // the scope of the route
}

// TestCatalogueTenants: other tenants see what is visible to all, and nothing else.
func TestCatalogueTenants(t *testing.T) {
	c := startCatalogue(t)
	c.orders("", true)
	c.with(c.foreign, "GET", "/v1/apis/orders", "").problem(404, "not_found")
	c.with(c.foreign, "GET", "/api/v1/orders/1", "").problem(404, "not_found")
	c.with(c.foreign, "POST", "/v1/access", `{"api":"orders","version":"v1"}`).problem(422, "bad_message")
	c.with(c.owner, "PUT", "/v1/apis/orders", `{"visibility":"all"}`).want(200)
	c.with(c.foreign, "GET", "/v1/apis/orders", "").want(200)
	c.with(c.foreign, "GET", "/api/v1/orders/1", "").problem(403, "forbidden")
	c.with(c.foreign, "POST", "/v1/apis/orders/versions/v1/retire", "").problem(403, "forbidden")
	id := c.with(c.foreign, "POST", "/v1/access", `{"api":"orders","version":"v1"}`).want(201).text("id")
	c.with(c.foreign, "POST", "/v1/access/"+id+"/approve", "").problem(403, "forbidden") // its own, but not its API
	c.with(c.foreignAdmin, "GET", "/v1/access/"+id, "").want(200)
	c.with(c.owner, "POST", "/v1/access/"+id+"/approve", "").want(200)
	c.with(c.foreign, "GET", "/api/v1/orders/1", "").want(200)

	// An own API of that name comes first; a second one for all is refused.
	c.with(c.foreign, "PUT", "/v1/apis/orders", `{"visibility":"all"}`).problem(409, "conflict")
	c.with(c.foreign, "PUT", "/v1/apis/orders", `{"title":"Ours"}`).want(201)
	if title := c.with(c.foreign, "GET", "/v1/apis/orders", "").text("title"); title != "Ours" {
		t.Errorf("%s", title)
	}
	// Routes of another tenant are not taken over, not even in part.
	for path, status := range map[string]int{"/api/v1/": 409, "/api/v1/orders/special": 409, "/api/": 409, "/": 422, "/{x}/v1/": 422, "/acme/": 201} {
		c.with(c.foreign, "PUT", "/v1/apis/orders/versions/v1", c.version(ordersDocument(""), path)).want(status)
	}
	c.with(c.owner, "PUT", "/v1/apis/orders", `{"visibility":"tenant"}`).want(200)
	c.with(c.foreign, "GET", "/api/v1/orders/1", "").problem(404, "not_found")
}

// TestCatalogueRoutes: what routes made over HTTP may not have, each with a pointer.
func TestCatalogueRoutes(t *testing.T) {
	c := startCatalogue(t)
	if err := c.Apply(web.Settings{}, []gateway.Route{c.up.route("/file/")}); err != nil {
		t.Fatal(err)
	}
	c.orders("", false)
	for route, pointer := range map[string]string{
		`{"path":"/x/"}`: "/routes/0", `{"path":"x","upstream":"http://127.0.0.1:1"}`: "/routes/0/path", `7`: "/routes/0", `{"path":"/x/","upstream":"ftp://a"}`: "/routes/0/upstream",
		`{"path":"/x/","upstream":"http://127.0.0.1:1","ca":"/etc/passwd"}`:                              "/routes/0/ca",
		`{"path":"/x/","upstream":"http://127.0.0.1:1","proxy":"http://127.0.0.1:1"}`:                    "/routes/0/proxy",
		`{"path":"/x/","upstream":"http://127.0.0.1:1","client_key":"/etc/passwd"}`:                      "/routes/0/client_key",
		`{"path":"/x/","upstream":"http://127.0.0.1:1","headers":{"X.A~/b":"file:/etc/passwd"}}`:         "/routes/0/headers/X.A~0~1b",
		`{"path":"/x/","upstream":"http://127.0.0.1:1","headers":{"X.A":"file:/etc/passwd"}}`:            "/routes/0/headers/X.A",
		`{"path":"/x/","upstream":"http://127.0.0.1:1","headers":{"X-A":"env:HOME"}}`:                    "/routes/0/headers/X-A",
		`{"path":"/x/","upstream":"http://127.0.0.1:1","api":"other/v1"}`:                                "/routes/0/api",
		`{"path":"/x/","upstream":"http://127.0.0.1:1","match":{"host":"evil.example"}}`:                 "/routes/0/match/host",
		`{"path":"/x/","upstream":"http://10.0.0.1:1"}`:                                                  "/routes/0/upstream",
		`{"path":"/x/","upstream":"http://169.254.169.254/"}`:                                            "/routes/0/upstream",
		`{"path":"/x/","targets":[{"name":"a","upstream":"http://[fd00::1]/"}]}`:                         "/routes/0/targets/0/upstream",
		`{"path":"/v1/jobs","upstream":"http://127.0.0.1:1"}`:                                            "/routes/0/path",
		`{"path":"/x/","upstream":"http://127.0.0.1:1","limits":[{"rate":"x"}]}`:                         "/routes/0/limits/0/rate",
		`{"path":"/x/","upstream":"http://127.0.0.1:1","request":{"body":"."}, "response":{"body":"("}}`: "/routes/0/response/body",
		`{"path":"/x/","upstream":"http://127.0.0.1:1"},{"path":"/x/","upstream":"http://127.0.0.1:1"}`:  "/routes/1/path",
	} {
		p := c.with(c.owner, "PUT", "/v1/apis/orders/versions/v2", `{"openapi":`+ordersDocument("")+`,"routes":[`+route+`]}`)
		if p.status != 422 || !strings.Contains(p.body, `"pointer":"`+pointer+`"`) {
			t.Errorf("%s: %d %s, want %s", route, p.status, p.body, pointer)
		}
		if strings.Contains(p.body, "root:") {
			t.Errorf("%s: %s", route, p.body)
		}
	}
	for path, name := range map[string]string{"/file/": "the route /file/ of the configuration file", "/api/v1/": "the route /api/v1/ of orders/v1"} {
		p := c.with(c.owner, "PUT", "/v1/apis/orders/versions/v2", c.version(ordersDocument(""), path)).problem(409, "conflict")
		if !strings.Contains(p["detail"].(string), name) {
			t.Errorf("%v", p)
		}
	}
	// The file comes first: what it takes now is no longer the catalogue's, and comes back.
	c.with(c.owner, "GET", "/api/v1/orders/1", "").want(200).has("X-Saw", "GET /orders/1 0")
	if err := c.Apply(web.Settings{}, []gateway.Route{c.up.route("/api/v1/")}); err != nil {
		t.Fatal(err)
	}
	c.with(c.owner, "GET", "/api/v1/orders/1", "").want(200).has("X-Saw", "GET /api/v1/orders/1 0")
	if err := c.Apply(web.Settings{}, nil); err != nil {
		t.Fatal(err)
	}
	c.with(c.owner, "GET", "/api/v1/orders/1", "").want(200).has("X-Saw", "GET /orders/1 0")
}

// TestCatalogueGuard: without an opened range no route of the catalogue reaches this machine,
// neither directly nor by a job.
func TestCatalogueGuard(t *testing.T) {
	w := start(t)
	up := newUpstream(t, sample)
	w.do("PUT", "/v1/apis/orders", "").want(201)
	at := "/v1/apis/orders/versions/v1"
	body := func(upstream string) string {
		return `{"openapi":` + ordersDocument("") + `,"routes":[{"path":"/api/","upstream":"` + upstream + `"}]}`
	}
	w.do("PUT", at, body(up.URL)).problem(422, "blocked_address")
	// A name is looked up when it is called.
	w.do("PUT", at, body("http://localtest.invalid:"+up.URL[strings.LastIndexByte(up.URL, ':')+1:])).want(201)
	w.do("GET", "/api/x", "").want(502)
	if up.hits.Load() > 0 {
		t.Error("it was reached")
	}
}
