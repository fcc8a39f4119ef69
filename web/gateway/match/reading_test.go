package match

import (
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"jobhub/jobs"
)

// tricks are rules that paths try to confuse: a public prefix, and below it what is not public.
var tricks = []Rule{{Path: "/api/"}, {Path: "/api/admin/"}, {Path: "/orders/{id}"}, {Path: "/orders/{id}/items/{item}"}, {Path: "/static"},
	{Path: "/shop/", Query: map[string]string{"role": "admin"}}, {Path: "/shop/"}, {Path: "/only", Methods: []string{"PUT"}}}

// TestPathTricks: a path that servers read differently is refused if that makes a difference for
// the rule or its parameters, and else passed on as it is.
func TestPathTricks(t *testing.T) {
	const refused = "refused"
	table := newTable(t, tricks...)
	for line, want := range map[string]string{
		// plain
		"/api/x": "/api/", "/api/admin/x": "/api/admin/", "/api/admin": "/api/", "/api/administrator": "/api/", "/orders/5": "/orders/{id} 5", "/orders/5/items/6/7": "/orders/{id}/items/{item} 5 6",
		// dot segments
		"/api/..": refused, "/api/../x": refused, "/api/./x": refused, "/api/.": refused, "/orders/..": refused, "/orders/.": refused, "/nothing/../api/x": "", "/orders/5/../6": refused,
		"/api/%2e%2e/x": refused, "/api/%2E./x": refused, "/api/.%2e": refused, "/api/%2e/x": refused, "/orders/%2e%2e": refused, "/api/..;/x": refused, "/api/..;a=b/x": refused, "/api/%2e%2e%3b/x": refused,
		"/api/..%2fx": refused, "/api/..%5cx": refused, `/api/..\x`: refused, "/orders/..%2f..%2fadmin": refused, "/api/x%2f..%2fadmin": refused, "/api%2f..%2fx": "", "/api/%c0%ae%c0%ae/x": refused, "/api/%e0%80%ae/x": refused,
		// what only looks like one
		"/api/...": "/api/", "/api/.well-known/x": "/api/", "/api/a..b": "/api/", "/orders/..a": "/orders/{id} ..a", "/orders/%252e%252e": "/orders/{id} %2e%2e",
		// slashes
		"/api/a%2Fb": "/api/", "/api/a%2fb//c/": "/api/", "/api%2Fx": refused, "/api/admin%2fx": refused, "/api//admin/x": refused, "/api/%2fadmin/x": refused, "//api/x": refused, "//x": "", "/api//x": "/api/",
		"/orders/a%2Fb": refused, "/orders%2F5": refused, "/orders/%2f5": refused, "/orders/5%2f": refused, "/orders//5": refused, "/orders/5//": "/orders/{id} 5", "/orders/5//x": "/orders/{id} 5", "/orders/5//items/6": refused,
		"/orders/5/x%2Fy": "/orders/{id} 5", "/orders/5%2Fitems%2F6": refused, "/orders/5/items%2F6": refused, "/orders/a%252Fb": "/orders/{id} a%2Fb", "/static%2fx": refused, "/static/a%2fb": "/static",
		// backslashes
		"/api/a%5Cb": "/api/", "/api/admin%5Cx": refused, `/api/admin\x`: refused, "/api%5cx": refused, "/orders/a%5Cb": refused, "/orders/5/a%5Cb": "/orders/{id} 5", "/orders%5c5": refused,
		// parameters of servlets
		"/api/a;b=c/d": "/api/", "/api/admin;x/y": refused, "/api/admin%3bx/y": refused, "/api;x/y": refused, "/orders/5;v=2": refused, "/orders/5%3Bv=2": refused, "/orders/;v=2": refused, "/orders/5/x;v=2": "/orders/{id} 5",
		"/api/;/admin/x": refused, "/api/;x/admin/x": refused, "/orders;x/5": refused, "/static;x": refused,
		// control characters and other bytes
		"/api/x%00": refused, "/orders/5%00": refused, "/api/a%0d%0ab": refused, "/api/%7f": refused, "/api/\x01": refused, "/api/%ff": "/api/", "/orders/%ff": refused, "/orders/%C3%A4": "/orders/{id} ä", "/orders/ä": "/orders/{id} ä",
		"/api/%zz": refused, "/orders/%": refused, "/%u002e": refused, "/orders/a%20b%3Fc%23": "/orders/{id} a b?c#",
		// unnecessary escapes
		"/%61pi/x": refused, "/api/%61dmin/x": refused, "/api/%61": "/api/", "/orders/%35": "/orders/{id} 5", "/order%73/5": refused, "/orders/5/%69tems/6": refused,
		// the query
		"/shop/?role=admin": "/shop/ role", "/shop/?%72ole=adm%69n": "/shop/ role", "/shop/?role=user": "/shop/", "/shop/?x=1;role=admin": refused, "/shop/?role=admin;x=1": refused, "/shop/?x=1;y=2": "/shop/", "/shop/?role=admin&x=1;y=2": "/shop/ role", "/api/?x=1;role=admin": "/api/",
		// the method: nothing is told of paths that are refused
		"/only": "405", "/only/..": "", "/only/%00": "", "/only//x": "405",
	} {
		found, err := table.Find(request(line))
		got := ""
		if _, is := errors.AsType[*MethodError](err); is {
			got = "405"
		} else if p, is := errors.AsType[*jobs.Problem](err); is && (p.Code == jobs.NotFound || p.Code == jobs.BadMessage) && p.Detail != "" {
			got = refused
		} else if err != nil {
			t.Errorf("%s: %v", line, err)
		} else if found.Rule != nil {
			got = found.Rule.Path
			if found.Rule.Query != nil {
				got += " role"
			}
			for _, p := range found.Params {
				got += " " + p.Value
				if q, ok := found.Param(p.Name); !ok || q != p {
					t.Errorf("%s: %+v, %+v", line, p, q)
				}
				if raw, err := url.PathUnescape(p.Raw); err != nil || raw != p.Value || !strings.Contains(line, p.Raw) {
					t.Errorf("%s: raw %q of %q", line, p.Raw, p.Value)
				}
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q (%v)", line, got, want, err)
		}
	}
	if _, err := table.Find(Request{Path: "/" + strings.Repeat("a", maxPath)}); rejection(err) != 414 {
		t.Errorf("a long path: %v", err)
	}
	for _, host := range []string{"a b", "a/b", "user@h", "h:1:2", "h:x", "[::1", "[h]", "[::1]x", "::1", ".", "a..b", ".a", "ä", "h:123456", strings.Repeat("a", 256)} {
		if _, err := table.Find(Request{Host: host, Path: "/api/x"}); err == nil {
			t.Errorf("the host %q is taken", host)
		}
	}
}

func rejection(err error) int {
	if p, ok := errors.AsType[*jobs.Problem](err); ok {
		return p.Status
	}
	return 0
}

// formerFind is how routes with prefixes were found before there were rules; -1 for none.
func formerFind(prefixes []string, raw, decoded string) (route int, refused bool) {
	longest := func(path string) int {
		best := -1
		for i, p := range prefixes {
			rest, ok := strings.CutPrefix(path, p)
			if ok && (strings.HasSuffix(p, "/") || rest == "" || rest[0] == '/') && (best < 0 || len(p) > len(prefixes[best])) {
				best = i
			}
		}
		return best
	}
	route = longest(raw)
	if !strings.ContainsAny(raw, "%\\") && !strings.Contains(raw, "//") && !strings.Contains(raw, "/.") {
		return route, false
	}
	dots := false
	for segment := range strings.FieldsFuncSeq(decoded, func(c rune) bool { return c == '/' || c == '\\' }) {
		name, _, _ := strings.Cut(segment, ";")
		dots = dots || name == "." || name == ".."
	}
	if dots || strings.ContainsFunc(decoded, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return route, route >= 0
	}
	clean := path.Clean("/" + decoded)
	if strings.HasSuffix(decoded, "/") && clean != "/" {
		clean += "/"
	}
	return route, longest(clean) != route
}

// TestFormerPrefixes: for prefixes the table finds what the hub found before, and never what it
// refused; of the rest it refuses paths with semicolons, backslashes and overlong characters.
func TestFormerPrefixes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefixes := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"/", "/a", "/a/b/", "/a/b/c", "/b/", "/b/a", "/c.d/"}), 1, 5, rapid.ID).Draw(t, "prefixes")
		var rules []Rule
		for _, p := range prefixes {
			rules = append(rules, Rule{Path: p})
		}
		table, err := NewTable(entries(rules))
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			q := drawRequest(t, rules)
			q.Host, q.Query = "", ""
			u, err := url.ParseRequestURI(q.Path)
			if err != nil {
				continue
			}
			q.Path = u.EscapedPath()
			route, refused := formerFind(prefixes, q.Path, u.Path)
			got := got(t, table, q)
			switch {
			case refused && got.rule >= 0, !refused && !got.refused && got.rule != route:
				t.Fatalf("%q of %q: %+v, was %d %v", q.Path, prefixes, got, route, refused)
			case got.refused && !refused && !strings.ContainsAny(u.Path, `;\`) && !strings.Contains(u.Path, "\xc0\xae"):
				t.Fatalf("%q of %q is refused, was %d", q.Path, prefixes, route)
			}
		}
	})
}

// TestOtherServers: what the table passes on for a rule, servers of other kinds read as the same
// rule's. Here Go's own, and one that decodes, cuts parameters and then normalises.
func TestOtherServers(t *testing.T) {
	table := newTable(t, Rule{Path: "/api/"}, Rule{Path: "/api/admin/"}, Rule{Path: "/orders/{id}"})
	mux := http.NewServeMux()
	for _, pattern := range []string{"/api/", "/api/admin/", "/orders/{id}", "/orders/{id}/"} {
		mux.Handle(pattern, http.NotFoundHandler())
	}
	servlet := func(decoded string) string {
		segments := strings.Split(strings.ReplaceAll(decoded, `\`, "/"), "/")
		for i, s := range segments {
			segments[i], _, _ = strings.Cut(s, ";")
		}
		return path.Clean(strings.Join(segments, "/"))
	}
	passed := 0
	rapid.Check(t, func(t *rapid.T) {
		q := drawRequest(t, tricks[:5])
		u, err := url.ParseRequestURI(q.Path)
		if err != nil {
			return
		}
		found, err := table.Find(Request{Method: "GET", Path: u.EscapedPath(), Query: q.Query})
		if err != nil || found.Rule == nil {
			return
		}
		passed++
		prefix := strings.TrimSuffix(strings.TrimSuffix(found.Rule.Path, "{id}"), "/")
		r := &http.Request{Method: "GET", URL: u, Host: "h"}
		if _, pattern := mux.Handler(r); pattern != "" && !strings.HasPrefix(pattern, prefix) {
			t.Fatalf("%q is %s here, %s for Go's server", q.Path, found.Rule.Path, pattern)
		}
		read := servlet(u.Path) + "/"
		if !strings.HasPrefix(read, prefix+"/") || found.Rule.Path == "/api/" && strings.HasPrefix(read, "/api/admin/") && read != "/api/admin/" {
			t.Fatalf("%q is %s here, %s for another server", q.Path, found.Rule.Path, read)
		}
		if id, ok := found.Param("id"); ok && !strings.HasPrefix(read, "/orders/"+id.Value+"/") {
			t.Fatalf("%q has the id %q here, another in %s", q.Path, id.Value, read)
		}
	})
	if passed == 0 {
		t.Error("no path was passed")
	}
}
