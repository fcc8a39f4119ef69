package match

import (
	"strings"
	"testing"
)

// request makes a request of a line: METHOD PATH?QUERY, the host in front of the path.
func request(line string, headers ...string) Request {
	method, target, ok := strings.Cut(line, " ")
	if !ok {
		method, target = "GET", line
	}
	target, query, _ := strings.Cut(target, "?")
	i := strings.IndexByte(target, '/')
	return Request{Method: method, Host: target[:i], Path: target[i:], Query: query, Header: header(headers...)}
}

func newTable(t testing.TB, rules ...Rule) *Table[int] {
	t.Helper()
	table, err := NewTable(entries(rules))
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestPrecedence: of two rules that match, the first one is better, in whichever order they are
// given.
func TestPrecedence(t *testing.T) {
	values := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	for name, c := range map[string]struct {
		better, worse Rule
		request       string
		headers       []string
	}{
		"a host before all else":                         {Rule{Host: "h", Path: "/"}, Rule{Path: "/a/b", Methods: []string{"GET"}, Headers: values("X", "1")}, "h/a/b", []string{"X", "1"}},
		"the exact path before a template of its length": {Rule{Path: "/a/b"}, Rule{Path: "/a/{x}"}, "/a/b", nil},
		"the exact path before conditions":               {Rule{Path: "/a/b"}, Rule{Path: "/a/", Methods: []string{"GET"}, Headers: values("X", "1"), Query: values("k", "1")}, "/a/b?k=1", []string{"X", "1"}},
		"the exact path with a slash":                    {Rule{Path: "/a/"}, Rule{Path: "/a", Methods: []string{"GET"}}, "/a/", nil},
		"what is below before what continues":            {Rule{Path: "/a/"}, Rule{Path: "/a", Methods: []string{"GET"}}, "/a/b", nil},
		"the longest prefix":                             {Rule{Path: "/a/b/"}, Rule{Path: "/a/"}, "/a/b/c", nil},
		"the longest prefix before conditions":           {Rule{Path: "/a/b"}, Rule{Path: "/a", Headers: values("X", "1")}, "/a/b/c", []string{"X", "1"}},
		"a template with more literal segments":          {Rule{Path: "/a/{x}/c"}, Rule{Path: "/a/{x}/{y}"}, "/a/b/c", nil},
		"more literal segments, wherever they are":       {Rule{Path: "/{x}/b/c"}, Rule{Path: "/a/{x}/{y}"}, "/a/b/c", nil},
		"a template with its rest before a shorter one":  {Rule{Path: "/{x}/b"}, Rule{Path: "/{x}"}, "/a/b/c", nil},
		"a template before a prefix as literal":          {Rule{Path: "/a/{x}"}, Rule{Path: "/a/"}, "/a/b", nil},
		"a template before a prefix, with a rest":        {Rule{Path: "/a/{x}"}, Rule{Path: "/a/"}, "/a/b/c/d", nil},
		"a template over a prefix, equally literal":      {Rule{Path: "/{x}/b"}, Rule{Path: "/a/"}, "/a/b", nil},
		"a prefix that is more literal":                  {Rule{Path: "/admin/"}, Rule{Path: "/{x}/{y}"}, "/admin/users", nil},
		"a literal prefix before a whole template":       {Rule{Path: "/a/b"}, Rule{Path: "/{x}/{y}/c"}, "/a/b/c", nil},
		"a long template":                                {Rule{Path: "/{a}/{b}/{c}"}, Rule{Path: "/{a}/{b}"}, "/1/2/3", nil},
		"any template before /":                          {Rule{Path: "/{x}"}, Rule{Path: "/"}, "/a", nil},
		"methods given":                                  {Rule{Path: "/a", Methods: []string{"GET", "PUT"}}, Rule{Path: "/a", Headers: values("X", "1", "Y", "1")}, "/a", []string{"X", "1", "Y", "1"}},
		"many methods are no more than one":              {Rule{Path: "/a", Methods: []string{"GET", "PUT", "POST"}, Query: values("k", "1")}, Rule{Path: "/a", Methods: []string{"GET"}}, "/a?k=1", nil},
		"more headers":                                   {Rule{Path: "/a", Headers: values("X", "1", "Y", "1")}, Rule{Path: "/a", Headers: values("X", "1"), Query: values("k", "1", "l", "1")}, "/a?k=1&l=1", []string{"X", "1", "Y", "1"}},
		"a header before a parameter":                    {Rule{Path: "/a", Headers: values("x", "1")}, Rule{Path: "/a", Query: values("k", "1", "l", "2")}, "/a?k=1&l=2", []string{"X", "1"}},
		"more parameters":                                {Rule{Path: "/a", Query: values("k", "1", "l", "")}, Rule{Path: "/a", Query: values("k", "1")}, "/a?l&k=1", nil},
		"a parameter before none":                        {Rule{Path: "/{x}", Query: values("k", "1")}, Rule{Path: "/{x}"}, "/a?k=1", nil},
	} {
		q := request(c.request, c.headers...)
		for i, rules := range [][]Rule{{c.better, c.worse}, {c.worse, c.better}} {
			found, err := newTable(t, rules...).Find(q)
			if err != nil || found.Rule == nil || found.Value != i {
				t.Errorf("%s: %+v, %v", name, found, err)
			}
		}
		if found, err := newTable(t, c.worse).Find(q); err != nil || found.Rule == nil {
			t.Errorf("%s: the worse rule does not match at all: %v", name, err)
		}
	}
}

// TestMatching is one table of rules, and which one requests find; "" for none.
func TestMatching(t *testing.T) {
	rules := []Rule{
		{Path: "/a"}, {Path: "/b/"}, {Path: "/c/{id}"}, {Path: "/d/{id}/x/"}, {Host: "API.example.com", Path: "/a"}, {Host: "::1", Path: "/a"},
		{Path: "/m", Methods: []string{"GET", "POST"}}, {Path: "/h", Headers: map[string]string{"x-beta": "1"}}, {Path: "/q", Query: map[string]string{"a b": "ä&1"}}, {Path: "/v1/jobs:bulk"},
	}
	table := newTable(t, rules...)
	for line, want := range map[string]string{
		"/a": "/a", "/a/": "/a", "/a/b": "/a", "/ab": "", "/": "", "/A": "", "/a.": "",
		"/b": "", "/b/": "/b/", "/b/c/d": "/b/", "/bc": "",
		"/c": "", "/c/": "", "/c/1": "/c/{id}", "/c/1/": "/c/{id}", "/c/1/2": "/c/{id}",
		"/d/1/x": "", "/d/1/x/": "/d/{id}/x/", "/d/1/x/y": "/d/{id}/x/", "/d/1/y/": "",
		"api.example.com/a": "API.example.com/a", "Api.Example.COM:8080/a/b": "API.example.com/a", "api.example.com./a": "API.example.com/a", "api.example.com:/a": "API.example.com/a",
		"api.example.com/b/": "/b/", "x.api.example.com/a": "/a", "[::1]:80/a": "::1/a", "[0:0::1]/a": "::1/a", "[::2]/a": "/a",
		"POST /m": "/m", "post /m": "405", "HEAD /m": "405", "OPTIONS /m/x": "405", "HEAD /a": "/a", "/h": "", "/v1/jobs:bulk": "/v1/jobs:bulk",
		"/q?a+b=%C3%A4%261": "/q", "/q?x=1&a%20b=ä%261&y": "/q", "/q?a+b=ä&1": "", "/q?A+b=%C3%A4%261": "", "/q?a+b=%C3%A4%261&a+b=2": "/q", "/q": "",
	} {
		found, err := table.Find(request(line))
		got := ""
		if _, is := err.(*MethodError); is {
			got = "405"
		} else if err != nil {
			got = err.Error()
		} else if found.Rule != nil {
			got = found.Rule.Host + found.Rule.Path
		}
		if got != want {
			t.Errorf("%s found %q, want %q", line, got, want)
		}
	}
	if found, err := table.Find(request("/h", "X-Beta", "0", "X-Beta", "1")); err != nil || found.Rule == nil {
		t.Errorf("a repeated header: %+v, %v", found, err)
	}
	if found, err := table.Find(request("/h", "X-Beta", "1, 2")); err != nil || found.Rule != nil {
		t.Errorf("a list in a header: %+v, %v", found, err)
	}
	if found, err := (*Table[int])(nil).Find(request("/a")); err != nil || found.Rule != nil || found.Why() != "" {
		t.Errorf("no table: %+v, %v", found, err)
	}
}

// TestRepeatedValues: who sends two values of one name, for two rules, is told to decide.
func TestRepeatedValues(t *testing.T) {
	table := newTable(t, Rule{Path: "/a/{x}/c", Headers: map[string]string{"X": "1"}}, Rule{Path: "/{x}/b/c", Headers: map[string]string{"X": "2"}},
		Rule{Path: "/k", Query: map[string]string{"k": "1"}}, Rule{Path: "/k", Query: map[string]string{"k": "2"}}, Rule{Path: "/k/l", Query: map[string]string{"k": "1"}},
		Rule{Path: "/{x}/m/n"}, Rule{Path: "/a/{x}/{y}", Headers: map[string]string{"X": "1"}}, Rule{Path: "/a/{x}/{y}", Headers: map[string]string{"X": "2"}})
	for _, q := range []Request{request("/a/b/c", "X", "1", "X", "2"), request("/k?k=1&k=2")} {
		if found, err := table.Find(q); err == nil || !strings.Contains(err.Error(), "Send each of them once") {
			t.Errorf("%+v: %+v, %v", q, found, err)
		}
	}
	for i, q := range []Request{request("/a/b/c", "X", "1", "X", "3"), request("/a/b/c", "X", "2"), request("/k?k=1&k=3"), request("/k?k=0&k=2"), request("/k/l?k=1&k=2"), request("/a/m/n", "X", "1", "X", "2")} {
		if found, err := table.Find(q); err != nil || found.Value != i {
			t.Errorf("%+v: %+v, %v", q, found, err)
		}
	}
}

func TestWhy(t *testing.T) {
	table := newTable(t, Rule{Path: "/"}, Rule{Path: "/a"}, Rule{Host: "h", Path: "/a/{x}/b", Methods: []string{"GET", "PUT"}, Headers: map[string]string{"x-secret": "swordfish"}, Query: map[string]string{"k": "swordfish"}})
	for line, want := range map[string]string{
		"h/a/1/b?k=swordfish":   "host h, path /a/{x}/b (template, 2 of 3 segments literal), method GET or PUT, header X-Secret, query parameter k",
		"h/a/1/b/c?k=swordfish": "host h, path /a/{x}/b (template, 2 of 3 segments literal, with more behind it), method GET or PUT, header X-Secret, query parameter k",
		"/a":                    "path /a (exact)", "/a/b": "path /a (prefix, with more behind it)", "/": "path / (exact)", "/x": "path / (prefix, with more behind it)",
	} {
		if found, err := table.Find(request(line, "X-Secret", "swordfish")); err != nil || found.Why() != want {
			t.Errorf("%s: %q, %v", line, found.Why(), err)
		}
	}
}
