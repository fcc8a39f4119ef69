package transform

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"jobhub/jobs"
)

func values() *Values {
	return &Values{
		Path:     map[string]string{"id": "a%2Fb%20c", "dots": "..", "coded": "%2e%2E", "plain": "7"},
		Consumer: Consumer{Name: "Ada L", ID: "key_1", Tenant: "acme"},
		Claims: map[string]jobs.Value{"sub": jobs.Value(`"u\u00e9"`), "n": jobs.Value(`9007199254740993`), "amount": jobs.Value(`1.10`), "big": jobs.Value(`2005000000`), "exp": jobs.Value(`1e400`),
			"null": jobs.Value(`null`), "ok": jobs.Value(`true`), "list": jobs.Value(`["a",1.0]`), "line": jobs.Value(`"a\r\nX: y"`), "https://x/y": jobs.Value(`"url"`)},
		Query:  "page=2&q=a%20b+c&bad=%zz&page=3",
		Header: http.Header{"X-Id": {"1", "2"}, "X-Dots": {"../admin"}},
	}
}

func compile(t testing.TB, rules RequestRules) *Request {
	t.Helper()
	r, err := CompileRequest(rules, []string{"id", "dots", "coded", "plain"})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func status(err error) int {
	p, ok := errors.AsType[*jobs.Problem](err)
	if !ok {
		return 0
	}
	return p.Status
}

// TestValues is row 3 of the complaints about gateways: 1234 as 1234.000000, 2.005e+09 in a URL.
func TestValues(t *testing.T) {
	for template, want := range map[string]string{
		"{consumer.name}": "Ada L", "{consumer.tenant}/{consumer.id}": "acme/key_1", "{claim.sub}": "ué", "{claim.n}": "9007199254740993", "{claim.amount}": "1.10",
		"{claim.big}": "2005000000", "{claim.exp}": "1e400", "{claim.ok}": "true", "{claim.list}": `["a",1.0]`, "{claim.https://x/y}": "url", "{query.page}": "2", "{query.q}": "a b c",
		"{header.x-id}": "1, 2", "{plain}": "7", "{id}": "a/b c", "{{{plain}}}": "{7}", "a": "a", "": "",
	} {
		h := http.Header{"X-Out": {"of the caller"}}
		if err := compile(t, RequestRules{Headers: HeaderRules{Set: map[string]string{"X-Out": template}}}).headers.apply(h, values()); err != nil || h.Get("X-Out") != want {
			t.Errorf("%s: got %q, %v", template, h, err)
		}
	}
	for _, missing := range []string{"{consumer.plan}", "{claim.null}", "{claim.none}", "{query.none}", "{query.bad}", "{header.none}", "x{consumer.plan}y"} {
		h := http.Header{"X-Out": {"of the caller"}}
		if err := compile(t, RequestRules{Headers: HeaderRules{Set: map[string]string{"X-Out": missing}}}).headers.apply(h, values()); err != nil || h["X-Out"] != nil {
			t.Errorf("%s: got %q, %v; the caller's value must go", missing, h, err)
		}
	}
}

func TestHeaders(t *testing.T) {
	rules := RequestRules{Headers: HeaderRules{Set: map[string]string{"x-who": "{consumer.name}"}, Add: map[string]string{"Via-Hub": "1", "X-Id": "3"}, Remove: []string{"cookie", "X-Gone"}}}
	old := []string{"1", "2", "kept"}[:2]
	h := http.Header{"Cookie": {"a"}, "X-Gone": {"b"}, "X-Id": old, "Other": {"o"}}
	if err := compile(t, rules).headers.apply(h, values()); err != nil {
		t.Fatal(err)
	}
	if len(h) != 4 || h.Get("X-Who") != "Ada L" || h.Get("Via-Hub") != "1" || strings.Join(h["X-Id"], ",") != "1,2,3" || h.Get("Other") != "o" || old[:3][2] != "kept" {
		t.Errorf("got %q", h)
	}
	before := http.Header{"A": {"b"}}
	err := compile(t, RequestRules{Headers: HeaderRules{Remove: []string{"A"}, Set: map[string]string{"X-Line": "{claim.line}"}}}).headers.apply(before, values())
	if status(err) != 400 || before.Get("A") != "b" {
		t.Errorf("a line break: %v, %q", err, before)
	}
}

func TestQuery(t *testing.T) {
	rules := QueryRules{Set: map[string]string{"b": "x&y {plain}", "é": "{claim.n}", "gone": "{consumer.plan}"}, Remove: []string{"secret"}}
	edits := compile(t, RequestRules{Query: rules}).query
	for query, want := range map[string]string{
		"":                                "b=x%26y%207&%C3%A9=9007199254740993",
		"a=1&b=2&a=%zz&&c&=d&+=%2B":       "a=1&b=x%26y%207&a=%zz&&c&=d&+=%2B&%C3%A9=9007199254740993",
		"b=1&b=2&%62=3&a=%c3%a9":          "b=x%26y%207&a=%c3%a9&%C3%A9=9007199254740993",
		"secret=1&s%65cret=2&secrets=3":   "secrets=3&b=x%26y%207&%C3%A9=9007199254740993",
		"gone=1&x=a;b":                    "refused",
		"x=1;secret=2":                    "refused",
		"x=1;s%65cret":                    "refused",
		"x=1;y=2":                         "x=1;y=2&b=x%26y%207&%C3%A9=9007199254740993",
		"a=?&%C3%A9=1&q=a+b/ä\"":          "a=?&%C3%A9=9007199254740993&q=a+b/ä\"&b=x%26y%207",
		"secret%zz=1&a[]=1&a[]=2&a.b=%00": "secret%zz=1&a[]=1&a[]=2&a.b=%00&b=x%26y%207&%C3%A9=9007199254740993",
	} {
		got, err := edits.apply(query, values())
		if err != nil {
			got = "refused"
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", query, got, want)
		}
	}
	if got, err := (queryEdits{}).apply("a;b&&%zz", values()); err != nil || got != "a;b&&%zz" {
		t.Errorf("without rules: %q, %v", got, err)
	}
}

func TestPath(t *testing.T) {
	for template, want := range map[string]string{
		"/v2/orders/{plain}":      "/v2/orders/7/rest%2Fx",
		"/v2/{id}/x":              "/v2/a%2Fb%20c/x/rest%2Fx",
		"/{consumer.name}":        "/Ada%20L/rest%2Fx",
		"/{claim.big}":            "/2005000000/rest%2Fx",
		"/{claim.https://x/y}":    "/url/rest%2Fx",
		"/a%20b/{{x}}":            "error",
		"/{dots}":                 "refused",
		"/{coded}/x":              "refused",
		"/x{dots}":                "/x../rest%2Fx",
		"/{header.X-Dots}":        "refused",
		"/{claim.null}":           "refused",
		"/{consumer.plan}/orders": "refused",
		"v2":                      "error", "/a?b": "error", "/a#b": "error", "/a b": "error", "/é": "error", "/a/../b": "error", "/a/%2e%2e": "error", "//a": "error", "/{nope}": "error", "/%zz": "error",
	} {
		r, err := CompileRequest(RequestRules{Path: template}, []string{"id", "dots", "coded", "plain"})
		got := "error"
		if err == nil {
			v := values()
			v.Rest = "/rest%2Fx"
			if got, err = r.path.expand(v); err != nil {
				if got = "refused"; status(err) != 400 {
					t.Error(err)
				}
			}
		}
		if got != want {
			t.Errorf("%s: got %q, %v; want %q", template, got, err, want)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	set := func(name, value string) RequestRules {
		return RequestRules{Headers: HeaderRules{Set: map[string]string{name: value}}}
	}
	for want, rules := range map[string]RequestRules{
		"headers.set.X: {nope} is not a value":           set("X", "{nope}"),
		"headers.set.X: {consumer.key} is not a value":   set("X", "{consumer.key}"),
		"headers.set.X: {claim.} is not a value":         set("X", "{claim.}"),
		"headers.set.X: {} is not a value":               set("X", "{}"),
		"headers.set.X: has a brace":                     set("X", "{a"),
		"headers.set.X: has a brace without":             set("X", "a}"),
		"use forward_auth":                               set("X", "{header.authorization}"),
		"headers.set.X: {header.cookie} would show":      set("X", "{header.cookie}"),
		"headers.set.X: has a line break":                set("X", "a\nb"),
		"headers.set.Host: is set by the hub":            set("Host", "a"),
		"headers.set.content-length: is set by the hub":  set("content-length", "1"),
		"headers.set.X-Forwarded-For: is set by the hub": set("X-Forwarded-For", "a"),
		"headers.set.Connection: is set by the hub":      set("Connection", "a"),
		"headers.set.a b: is not the name":               set("a b", "a"),
		"is also in headers.set":                         {Headers: HeaderRules{Set: map[string]string{"x-a": "1", "X-A": "2"}}},
		"query.remove.a: is also in query.set":           {Query: QueryRules{Set: map[string]string{"a": "1"}, Remove: []string{"a"}}},
		"query.set.a: {x} is not a value":                {Query: QueryRules{Set: map[string]string{"a": "{x}"}}},
		"query.set: must have names":                     {Query: QueryRules{Set: map[string]string{"": "x"}}},
		"body: input is not available":                   {Body: "input"},
		"body: the program ends too early":               {Body: "{"},
		"path: must begin with a slash":                  {Path: "x"},
	} {
		if _, err := CompileRequest(rules, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	for _, name := range []string{"Jobhub-Attempt", "AsyncResult", "Content-Encoding", "Upgrade"} {
		if _, err := CompileResponse(ResponseRules{Headers: HeaderRules{Set: map[string]string{name: "x"}}}, nil); err == nil {
			t.Errorf("%s must be refused", name)
		}
	}
}

// TestRequest sends a request through all its rules.
func TestRequest(t *testing.T) {
	r := httptest.NewRequest("POST", "/api/orders/7?page=1&x=%zz", strings.NewReader(`{"order": {"total":1.10,"id":9007199254740993,"x":[ ]}}`))
	r.Header = http.Header{"Content-Type": {"application/json"}, "Content-Length": {"99"}, "Content-Md5": {"x"}, "Digest": {"y"}}
	rules := RequestRules{Path: "/v2/orders/{plain}", Query: QueryRules{Set: map[string]string{"page": "{claim.big}"}}, Headers: HeaderRules{Set: map[string]string{"X-Who": "{consumer.name}"}}, Body: ".order | {id, total, x}"}
	if err := compile(t, rules).Apply(r, values(), 0); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	const want = "POST /v2/orders/7?page=2005000000&x=%zz HTTP/1.1\r\nHost: example.com\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: 48\r\nContent-Type: application/json\r\nX-Who: Ada L\r\n\r\n" + `{"id":9007199254740993,"total":1.10,"x":[ ]}`
	if got := b.String(); got != strings.Replace(want, "Content-Length: 48", "Content-Length: 44", 1) {
		t.Errorf("got %q", got)
	}
	u, h := &url.URL{Path: "/a"}, http.Header{"Content-Type": {"application/json"}}
	body, err := compile(t, rules).Whole(t.Context(), u, h, []byte(`{"order":{"id":1}}`), values(), 0)
	if err != nil || string(body) != `{"id":1,"total":null,"x":null}` || u.String() != "/v2/orders/7?page=2005000000" || h.Get("X-Who") != "Ada L" {
		t.Errorf("%s, %v, %s, %q", body, err, u, h)
	}
}

func FuzzQuery(f *testing.F) {
	for _, q := range []string{"a=1&b=2", "a;b=1", "%61=1&&", "b=%zz", "=", "b"} {
		f.Add(q, "x&y=z;#")
	}
	edits := compile(f, RequestRules{Query: QueryRules{Set: map[string]string{"b": "{header.X-In}"}, Remove: []string{"c"}}}).query
	f.Fuzz(func(t *testing.T, query, value string) {
		v := &Values{Header: http.Header{"X-In": {value}}}
		got, err := edits.apply(query, v)
		if err != nil {
			return
		}
		var before, after []string
		for item := range strings.SplitSeq(query, "&") {
			if n := queryName(item); n != "b" && n != "c" && query != "" {
				before = append(before, item)
			}
		}
		set := 0
		for item := range strings.SplitSeq(got, "&") {
			switch queryName(item) {
			case "b":
				set++
			case "c":
				t.Fatalf("%q became %q", query, got)
			default:
				after = append(after, item)
			}
		}
		value2, ok := queryValue(got, "b")
		if strings.Join(before, "&") != strings.Join(after, "&") || set != 1 || !ok || value2 != value {
			t.Fatalf("%q became %q", query, got)
		}
	})
}
