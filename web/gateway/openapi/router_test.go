package openapi

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
)

func TestFind(t *testing.T) {
	d := orders(t)
	for _, c := range []struct{ base, method, path, want string }{
		{"", "GET", "/shop/v1/orders", "GET /orders map[]"},
		{"", "GET", "/shop/v1/orders/latest", "GET /orders/latest map[]"}, // a literal segment wins
		{"", "GET", "/shop/v1/orders/late%73t", "GET /orders/latest map[]"},
		{"", "GET", "/shop/v1/orders/7", "GET /orders/{id} map[id:7]"},
		{"", "GET", "/shop/v1/orders/a%2Fb", "GET /orders/{id} map[id:a%2Fb]"},
		{"", "GET", "/shop/v1/orders/x.json", "GET /orders/{name}.json map[name:x]"}, // texts win over a parameter alone
		{"", "GET", "/shop/v1/orders/x%20y%2Ejson", "GET /orders/{name}.json map[name:x%20y]"},
		{"", "GET", "/shop/v1/orders/.json", "GET /orders/{id} map[id:.json]"},
		{"", "HEAD", "/shop/v1/orders/7", "GET /orders/{id} map[id:7]"},
		{"", "DELETE", "/shop/v1/orders/latest", "[GET HEAD]"},
		{"", "PUT", "/shop/v1/orders", "[GET HEAD POST]"},
		{"", "GET", "/orders", "[]"},
		{"", "GET", "/shop/v12/orders", "[]"},
		{"", "GET", "/shop/v1/orders/", "[]"},
		{"", "GET", "/shop/v1/orders/%zz", "[]"},
		{"/api/orders/v1", "GET", "/api/orders/v1/orders/7", "GET /orders/{id} map[id:7]"},
		{"/api/orders/v1/", "GET", "/api/orders/v1/orders/7", "GET /orders/{id} map[id:7]"},
		{"/api", "GET", "/shop/v1/orders", "[]"},
	} {
		m := d.Find(c.base, c.method, c.path)
		got := fmt.Sprint(m.Allow)
		if m.Operation != nil {
			got = fmt.Sprintf("%s %s %v", m.Operation.Method, m.Operation.Path, m.Params)
		}
		if got != c.want {
			t.Errorf("%q %s %s: %s, want %s", c.base, c.method, c.path, got, c.want)
		}
	}
	u := &url.URL{Path: "/x"}
	if p := (Match{Allow: []string{"GET"}}).Problem("PUT", u); p.Status != 405 || !strings.Contains(p.Detail, "takes GET") {
		t.Error(p)
	}
	if p := (Match{}).Problem("PUT", u); p.Code != "not_found" {
		t.Error(p)
	}
}

// TestFindTurnsBack: where a literal segment leads nowhere, a parameter is tried.
func TestFindTurnsBack(t *testing.T) {
	d := parse(t, withPaths(`{
		"/a/b":{"get":{}},
		"/{x}/c":{"get":{"parameters":[{"name":"x","in":"path","required":true}]}},
		"/{x}-{y}/d":{"get":{"parameters":[{"name":"x","in":"path","required":true},{"name":"y","in":"path","required":true}]}},
		"/":{"get":{}}}`))
	for path, want := range map[string]string{"/a/b": "/a/b", "/a/c": "/{x}/c", "/a-b/c": "/{x}/c", "/a-b-c/d": "/{x}-{y}/d", "/": "/", "": "/", "/a": ""} {
		got := ""
		if m := d.Find("", "GET", path); m.Operation != nil {
			got = m.Operation.Path
		}
		if got != want {
			t.Errorf("%s finds %q, want %q", path, got, want)
		}
	}
	if m := d.Find("", "GET", "/a-b-c/d"); m.Params["x"] != "a" || m.Params["y"] != "b-c" {
		t.Errorf("params %v", m.Params)
	}
}

// TestFindAgainstNaive compares the tree with a search of all paths by the same rule.
func TestFindAgainstNaive(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	parts := []string{"a", "b", "{p}", "a{p}", "{p}b"}
	for range 300 {
		var all [][]segment
		var root router
		for range 8 {
			template := ""
			for i := range 1 + random.IntN(3) {
				template += "/" + strings.Replace(parts[random.IntN(len(parts))], "{p}", fmt.Sprintf("{p%d}", i), 1)
			}
			segments, fault := parseTemplate(template)
			if fault != "" {
				t.Fatal(template, fault)
			}
			if _, fault := root.add(segments, template, nil); fault == "" {
				all = append(all, segments)
			}
		}
		for range 20 {
			var path []string
			for range 1 + random.IntN(3) {
				path = append(path, []string{"a", "b", "c", "ab", "ac", "cb"}[random.IntN(6)])
			}
			got := ""
			if e := root.find(path); e != nil {
				got = e.template
			}
			if want := naive(all, path); got != want {
				t.Fatalf("%v finds %q, want %q", path, got, want)
			}
		}
	}
}

// naive finds the path whose segments, from left to right, have the most fixed text; a literal
// one has more than any other.
func naive(all [][]segment, path []string) (best string) {
	var bestRank []int
	for _, segments := range all {
		if len(segments) != len(path) {
			continue
		}
		var rank []int
		var template strings.Builder
		matches := true
		for i, s := range segments {
			_, ok := s.match(path[i])
			matches = matches && ok
			w := s.weight()
			if len(s.names) == 0 {
				w = 1000
			}
			rank = append(rank, w)
			template.WriteString("/" + s.texts[0])
			for j, name := range s.names {
				template.WriteString("{" + name + "}" + s.texts[j+1])
			}
		}
		if matches && (best == "" || fmt.Sprintf("%04d", rank) > fmt.Sprintf("%04d", bestRank)) {
			best, bestRank = template.String(), rank
		}
	}
	return best
}
