package match

import (
	"errors"
	"strings"
	"testing"
)

// TestGatewayAPI is the routing cases of Gateway API's conformance tests (kubernetes-sigs/gateway-api
// at 4564255a, conformance/tests/httproute-*.go), with their backends v1, v2, v3 and 404.
//
// They differ here in three ways, which the cases marked with * show: a path is never only
// exact, since /match takes /match/x, too; a method that no rule names is 405; and rules that
// match equally well, of which Gateway API takes the first one, are refused (see below).
func TestGatewayAPI(t *testing.T) {
	type values = map[string]string
	type to struct {
		rule    Rule
		backend string
	}
	type sent struct{ line, want string }
	version := func(v string) values { return values{"version": v} }
	animal := func(v string) values { return values{"animal": v} }
	for name, c := range map[string]struct {
		rules []to
		cases []sent // line: METHOD PATH [name: value]…
	}{
		"path-match-order": {[]to{{Rule{Path: "/match"}, "v1"}, {Rule{Path: "/match/exact"}, "v2"}, {Rule{Path: "/match/exact/one"}, "v3"},
			{Rule{Path: "/match/"}, "v3"}, {Rule{Path: "/match/prefix/"}, "v1"}, {Rule{Path: "/match/prefix/one"}, "v2"}},
			[]sent{{"GET /match/exact/one", "v3"}, {"GET /match/exact", "v2"}, {"GET /match", "v1"}, {"GET /match/prefix/one/any", "v2"}, {"GET /match/prefix/any", "v1"}, {"GET /match/any", "v3"}}},
		"matching": {[]to{{Rule{Path: "/"}, "v1"}, {Rule{Path: "/", Headers: version("one")}, "v1"}, {Rule{Path: "/v2"}, "v2"}, {Rule{Path: "/", Headers: version("two")}, "v2"}},
			[]sent{{"GET /", "v1"}, {"GET /example", "v1"}, {"GET / Version: one", "v1"}, {"GET /v2", "v2"}, {"GET /v2/example", "v2"}, {"GET / Version: two", "v2"},
				{"GET /v2/", "v2"}, {"GET /v2example", "v1"}, {"GET /foo/v2/example", "v1"}}},
		"matching-across-routes": {[]to{{Rule{Host: "example.com", Path: "/"}, "v1"}, {Rule{Host: "example.net", Path: "/"}, "v1"}, {Rule{Host: "example.com", Path: "/", Headers: version("one")}, "v1"},
			{Rule{Host: "example.net", Path: "/", Headers: version("one")}, "v1"}, {Rule{Host: "example.com", Path: "/v2"}, "v2"}, {Rule{Host: "example.com", Path: "/", Headers: version("two")}, "v2"}},
			[]sent{{"GET example.com/", "v1"}, {"GET example.com/example", "v1"}, {"GET example.net/example", "v1"}, {"GET example.com/example Version: one", "v1"}, {"GET example.com/v2", "v2"},
				{"GET example.net/v2", "v1"}, {"GET example.com/v2/example", "v2"}, {"GET example.com/ Version: two", "v2"}}},
		"header-matching": {[]to{{Rule{Path: "/", Headers: version("one")}, "v1"}, {Rule{Path: "/", Headers: version("two")}, "v2"}, {Rule{Path: "/", Headers: values{"version": "two", "color": "orange"}}, "v1"}},
			[]sent{{"GET / Version: one", "v1"}, {"GET / Version: two", "v2"}, {"GET / Version: two Color: orange", "v1"}, {"GET / Version: two Color: blue", "v2"},
				{"GET / Color: orange", "404"}, {"GET / Some-Other-Header: one", "404"}}},
		"header-matching, either of two": {[]to{{Rule{Path: "/", Headers: values{"color": "blue"}}, "v1"}, {Rule{Path: "/", Headers: values{"color": "green"}}, "v1"},
			{Rule{Path: "/", Headers: values{"color": "red"}}, "v2"}, {Rule{Path: "/", Headers: values{"color": "yellow"}}, "v2"}},
			[]sent{{"GET / Color: blue", "v1"}, {"GET / Color: green", "v1"}, {"GET / Color: red", "v2"}, {"GET / Color: yellow", "v2"}, {"GET / Color: purple", "404"}}},
		"query-param-matching": {[]to{{Rule{Path: "/", Query: animal("whale")}, "v1"}, {Rule{Path: "/", Query: animal("dolphin")}, "v2"}, {Rule{Path: "/", Query: values{"animal": "dolphin", "color": "blue"}}, "v3"},
			{Rule{Path: "/path1", Query: animal("whale")}, "v1"}, {Rule{Path: "/", Headers: version("one"), Query: animal("whale")}, "v2"}, {Rule{Path: "/path2", Headers: version("two"), Query: animal("whale")}, "v3"},
			{Rule{Path: "/path3", Query: animal("shark")}, "v1"}, {Rule{Path: "/path4", Headers: version("three"), Query: animal("kraken")}, "v1"},
			{Rule{Path: "/path5"}, "v1"}, {Rule{Path: "/", Query: animal("hydra")}, "v2"}, {Rule{Path: "/", Headers: version("four")}, "v3"}},
			[]sent{{"GET /?animal=whale", "v1"}, {"GET /?animal=dolphin", "v2"}, {"GET /?animal=dolphin&color=blue", "v3"}, {"GET /?animal=whale&otherparam=irrelevant", "v1"}, {"GET /?animal=dolphin&color=yellow", "v2"},
				{"GET /?color=blue", "404"}, {"GET /?animal=dog", "404"}, {"GET /?animal=whaledolphin", "404"}, {"GET /", "404"},
				{"GET /path1?animal=whale", "v1"}, {"GET /?animal=whale version: one", "v2"}, {"GET /path2?animal=whale version: two", "v3"},
				{"GET /path3?animal=shark", "v1"}, {"GET /path4?animal=kraken version: three", "v1"}, {"GET /?animal=shark", "404"}, {"GET /path4?animal=kraken", "404"},
				{"GET /path5?animal=hydra", "v1"}, {"GET /?animal=hydra version: four", "v3"}}},
		"query-param-matching, names in upper case": {[]to{{Rule{Path: "/", Query: values{"ANIMAL": "Whale"}}, "v3"}}, []sent{{"GET /?ANIMAL=Whale", "v3"}, {"GET /?animal=Whale", "404"}}},
		"method-matching": {[]to{{Rule{Path: "/", Methods: []string{"POST"}}, "v1"}, {Rule{Path: "/", Methods: []string{"GET"}}, "v2"},
			{Rule{Path: "/path1", Methods: []string{"GET"}}, "v1"}, {Rule{Path: "/", Methods: []string{"PUT"}, Headers: version("one")}, "v2"}, {Rule{Path: "/path2", Methods: []string{"POST"}, Headers: version("two")}, "v3"},
			{Rule{Path: "/path3", Methods: []string{"PATCH"}}, "v1"}, {Rule{Path: "/path4", Methods: []string{"DELETE"}, Headers: version("three")}, "v1"},
			{Rule{Path: "/path5"}, "v1"}, {Rule{Path: "/", Methods: []string{"PATCH"}}, "v2"}, {Rule{Path: "/", Headers: version("four")}, "v3"}},
			[]sent{{"POST /", "v1"}, {"GET /", "v2"}, {"HEAD /", "405"}, // *
				{"GET /path1", "v1"}, {"PUT / version: one", "v2"}, {"POST /path2 version: two", "v3"}, {"PATCH /path3", "v1"}, {"DELETE /path4 version: three", "v1"},
				{"PUT /", "405"}, {"DELETE /path4", "405"}, // *
				{"PATCH /path5", "v1"}, {"PATCH / version: four", "v2"}}},
		"exact-path-matching": {[]to{{Rule{Path: "/one"}, "v1"}, {Rule{Path: "/two"}, "v2"}},
			[]sent{{"GET /one", "v1"}, {"GET /two", "v2"}, {"GET /", "404"}, {"GET /one/example", "v1"}, {"GET /Two", "404"}, {"GET /two/", "v2"}}}, // *
	} {
		var entries []Entry[string]
		for _, to := range c.rules {
			entries = append(entries, Entry[string]{to.rule, to.backend})
		}
		table, err := NewTable(entries)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, sent := range c.cases {
			words := strings.Fields(sent.line)
			var headers []string
			for i := 2; i < len(words); i += 2 {
				headers = append(headers, strings.TrimSuffix(words[i], ":"), words[i+1])
			}
			found, err := table.Find(request(words[0]+" "+words[1], headers...))
			got := found.Value
			if _, is := errors.AsType[*MethodError](err); is {
				got = "405"
			} else if err == nil && found.Rule == nil {
				got = "404"
			}
			if got != sent.want {
				t.Errorf("%s: %s went to %q, want %s (%v)", name, sent.line, got, sent.want, err)
			}
		}
	}
	// Gateway API sends a request with both to the first one.
	_, err := NewTable(entries([]Rule{{Path: "/", Headers: version("two")}, {Path: "/", Headers: values{"color": "blue"}}}))
	if err == nil || !strings.Contains(err.Error(), "rules 0 and 1 match GET / with Color: blue, Version: two equally well") {
		t.Error(err)
	}
}
