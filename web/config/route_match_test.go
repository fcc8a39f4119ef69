package config

import (
	"reflect"
	"strings"
	"testing"

	"jobhub/web/gateway"
	"jobhub/web/gateway/match"
)

// TestRouteMembers: members of a route that say which requests it takes, and from whom.
func TestRouteMembers(t *testing.T) {
	c, err := Decode("f", []byte(`
auth:
  jwt: {corp: {issuer: https://idp.example.com/, audience: hub, jwks: https://idp.example.com/jwks.json, tenant: org, scopes: scope, name: sub}}
plans: {free: {limits: [{rate: 60/1m}], quota: 10000/1d}, open: {}}
routes:
  - path: /api/orders/{id}
    match: {host: api.example.com, methods: [GET, POST], headers: {X-Beta: "1"}, query: {kind: a}}
    upstream: http://127.0.0.1:9000
    auth: [key, jwt:corp]
    scopes: {GET: [orders.read], "*": [orders.write]}
    cors: {origins: ["https://app.example.com"], methods: [GET], headers: [Content-Type], credentials: true, max_age: 1m}
  - path: /api/orders/{id}
    match: {host: api.example.com, methods: [DELETE]}
    upstream: http://127.0.0.1:9000
`))
	if err != nil {
		t.Fatal(err)
	}
	if o := c.Issuers[0]; o.Name != "corp" || o.Issuer != "https://idp.example.com/" || o.TenantClaim != "org" || c.Plans["free"] == nil || c.Plans["open"] != nil {
		t.Errorf("%+v %v", o, c.Plans)
	}
	r := c.Routes[0]
	want := match.Rule{Host: "api.example.com", Methods: []string{"GET", "POST"}, Headers: map[string]string{"X-Beta": "1"}, Query: map[string]string{"kind": "a"}}
	if !reflect.DeepEqual(r.Match, want) || r.Name() != "GET,POST api.example.com/api/orders/{id}?kind=a X-Beta: 1" {
		t.Errorf("%+v, %s", r.Match, r.Name())
	}
	if !reflect.DeepEqual(r.Auth, gateway.Methods{"key", "jwt:corp"}) || !reflect.DeepEqual(r.Scopes.For("GET"), []string{"orders.read"}) || !reflect.DeepEqual(r.Scopes.For("PATCH"), []string{"orders.write"}) {
		t.Errorf("%+v", r)
	}
	if c := r.CORS; !c.Credentials || !c.Allows("https://app.example.com") || c.Allows("https://other.example.com") {
		t.Errorf("%+v", c)
	}
}

// TestRoutesThatOverlap: two routes that could match one request equally well are an error, with
// the lines of both.
func TestRoutesThatOverlap(t *testing.T) {
	for _, c := range []struct {
		routes []string
		want   string // part of the error; empty for none
	}{
		{[]string{"path: /a", "path: /a"}, "f:3: routes[1].path: overlaps with /a in line 2: both match GET /a equally well"},
		{[]string{"path: '/{x}/b'", "path: '/a/{y}'"}, "f:3: routes[1].path: overlaps with /{x}/b in line 2: both match GET /a/b equally well"},
		{[]string{"path: /a, match: {methods: [GET, POST]}", "path: /a, match: {methods: [POST]}"}, "both match POST /a equally well"},
		{[]string{"path: /a, match: {methods: [GET]}", "path: /a, match: {methods: [HEAD]}"}, "both match HEAD /a equally well"},
		{[]string{"path: '/{x}/{x}'"}, "f:2: routes[0].path: "},
		{[]string{"path: /a, match: {methods: [GET]}", "path: /a, match: {methods: [POST]}"}, ""},
		{[]string{"path: /a, match: {host: A.example}", "path: /a"}, ""},
		{[]string{"path: '/{x}/b'", "path: '/a/b'"}, ""},
	} {
		text := "routes:"
		for _, route := range c.routes {
			text += "\n  - {upstream: 'http://127.0.0.1:9000', " + route + "}"
		}
		_, err := Decode("f", []byte(text))
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.routes, err, c.want)
		}
	}
}

// TestRoutesOfAPIs: members of a route that tie it to the catalogue.
func TestRoutesOfAPIs(t *testing.T) {
	for text, want := range map[string]string{
		"{path: /a, api: orders/v2, mock: true}":                                          "",
		"{path: /a, api: orders/v2, validate: strict, upstream: 'http://127.0.0.1:9000'}": "",
		"{path: /a, api: orders, upstream: 'http://127.0.0.1:9000'}":                      "routes[0].api: must be an API of the catalogue",
		"{path: /a, api: orders/v2, validate: loud, upstream: 'http://127.0.0.1:9000'}":   "routes[0].validate: must be one of off, report, strict",
		"{path: /a, mock: true}": "routes[0].mock: needs api",
		"{path: /a, validate: report, upstream: 'http://127.0.0.1:9000'}": "routes[0].validate: needs api",
		"{path: /a, api: orders/v2, mock: false}":                         "routes[0]: needs an upstream",
	} {
		c, err := Decode("f", []byte("routes: ["+text+"]"))
		if want == "" && (err != nil || c.Routes[0].API != "orders/v2") || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
