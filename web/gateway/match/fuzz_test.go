package match

import (
	"strings"
	"testing"
)

// FuzzFind: whatever a request is, the table finds what trying all rules finds.
func FuzzFind(f *testing.F) {
	for _, seed := range []string{"/api/x", "/api/admin%2fx", "/orders/..;/x", "/orders/5//items/6", "/orders/%c0%ae", "/%", "/static;x", `/orders/\;%3b/`, "/orders/;%3B%2F\\", "/orders/%ff"} {
		f.Add("GET", "one.example", seed, "role=admin;x&%72ole=1", "1")
	}
	rules := append([]Rule{{Host: "one.example", Path: "/orders/{id}"}, {Host: "one.example", Path: "/{a}/{b}/items", Headers: map[string]string{"X-A": "1"}}, {Path: "/{a}/{b}/{c}", Methods: []string{"GET"}}}, tricks...)
	table, reference := newTable(f, rules...), newNaive(rules)
	f.Fuzz(func(t *testing.T, method, host, path, query, value string) {
		q := Request{Method: method, Host: host, Path: path, Query: query, Header: header("X-A", value)}
		got := got(t, table, q)
		if _, _, ok := appendHost(nil, host); !ok || !strings.HasPrefix(path, "/") || len(path) > maxPath {
			if !got.refused {
				t.Errorf("%+v is taken", q)
			}
			return
		}
		if strings.HasPrefix(host, "[") {
			q.Host = "" // the reference knows names alone
		}
		if want := reference.find(q); !same(got, want) {
			t.Errorf("%+v: %+v, want %+v", q, got, want)
		}
	})
}

// FuzzRules: whatever rules are, making a table of them does not panic; and the request of which
// a rule is the template finds it, or a conflict is told.
func FuzzRules(f *testing.F) {
	f.Add("h", "/a/{x}/c", "/{y}/b/c", "GET", "X-A", "1")
	f.Add("[::1]", "/a/", "/a", "", "", "\n")
	f.Add("*", "//{}{", "/{a-b}/..", "get", "host", " ")
	f.Fuzz(func(t *testing.T, host, one, other, method, name, value string) {
		r := Rule{Host: host, Path: one}
		if method != "" {
			r.Methods = []string{method}
		}
		if name != "" {
			r.Headers = map[string]string{name: value}
			r.Query = map[string]string{name: value}
		}
		rules := []Rule{r, {Host: host, Path: other, Methods: r.Methods, Headers: r.Headers, Query: r.Query}}
		table, err := NewTable(entries(rules))
		if err != nil {
			if err.Error() == "" {
				t.Error("no reason")
			}
			return
		}
		for i, r := range rules {
			c, invalid := compile(i, r)
			if invalid != nil {
				t.Fatalf("%v in a table", invalid)
			}
			q := newConflict(c, c).Example
			found, err := table.Find(q)
			if err != nil || found.Rule == nil {
				t.Fatalf("%+v finds nothing: %v", q, err)
			}
			if better, _ := compile(0, rules[found.Index]); found.Index != i && better.rank <= c.rank {
				t.Errorf("%+v finds %+v", q, found)
			}
		}
	})
}
