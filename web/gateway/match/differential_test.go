package match

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"jobhub/jobs"
)

// entries numbers rules.
func entries(rules []Rule) (all []Entry[int]) {
	for i, r := range rules {
		all = append(all, Entry[int]{r, i})
	}
	return all
}

// without returns rules of which none conflict.
func without(t interface{ Fatal(...any) }, rules []Rule) (*Table[int], []Rule) {
	for {
		table, err := NewTable(entries(rules))
		if err == nil {
			return table, rules
		}
		bad, ok := errors.AsType[*TableError](err)
		if !ok || len(bad.Conflicts) == 0 {
			t.Fatal(err)
		}
		i := bad.Conflicts[0].Second
		rules = slices.Delete(slices.Clone(rules), i, i+1)
	}
}

// got is the verdict of a table.
func got(t interface{ Errorf(string, ...any) }, table *Table[int], q Request) verdict {
	found, err := table.Find(q)
	v := verdict{rule: -1}
	if m, ok := errors.AsType[*MethodError](err); ok {
		v.allow = m.Methods
	} else if err != nil {
		v.refused = true
	}
	if err != nil {
		if p, ok := errors.AsType[*jobs.Problem](err); !ok || p.Detail == "" {
			t.Errorf("%+v: the error %v is no problem", q, err)
		}
	}
	if found.Rule != nil {
		v.rule = found.Value
		if found.Index != found.Value || found.Why() == "" || err != nil {
			t.Errorf("%+v: %+v, %v, %q", q, found, err, found.Why())
		}
	}
	for _, p := range found.Params {
		v.params = append(v.params, p.Value)
	}
	return v
}

func same(a, b verdict) bool {
	return a.rule == b.rule && a.refused == b.refused && slices.Equal(a.params, b.params) && slices.Equal(a.allow, b.allow)
}

var (
	drawHost   = rapid.SampledFrom([]string{"", "", "one.example", "Two.example"})
	drawValues = func(names ...string) *rapid.Generator[map[string]string] {
		return rapid.MapOfN(rapid.SampledFrom(names), rapid.SampledFrom([]string{"1", "2"}), 0, 2)
	}
	drawRule = rapid.Custom(func(t *rapid.T) Rule {
		path := ""
		for i := range rapid.IntRange(0, 4).Draw(t, "segments") {
			path += "/" + rapid.SampledFrom([]string{"a", "a", "b", "c.d", fmt.Sprintf("{p%d}", i)}).Draw(t, "segment")
		}
		if path == "" || rapid.Bool().Draw(t, "below") {
			path += "/"
		}
		return Rule{drawHost.Draw(t, "host"), path, rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"GET", "POST", "PUT"}), 0, 2, rapid.ID).Draw(t, "methods"),
			drawValues("X-A", "X-B").Draw(t, "headers"), drawValues("k", "l").Draw(t, "query")}
	})
)

// drawRequest draws a request, most often one that is close to one of the rules.
func drawRequest(t *rapid.T, rules []Rule) Request {
	q := Request{Method: rapid.SampledFrom([]string{"GET", "POST", "PUT", "HEAD"}).Draw(t, "method"), Header: http.Header{}}
	q.Host = rapid.SampledFrom([]string{"", "one.example", "ONE.example:80", "two.example.", "three.example"}).Draw(t, "host")
	if rapid.IntRange(0, 3).Draw(t, "near") > 0 {
		r := rapid.SampledFrom(rules).Draw(t, "rule")
		q.Path = regexp.MustCompile(`\{.*?\}`).ReplaceAllStringFunc(r.Path, func(string) string {
			return rapid.SampledFrom([]string{"a", "b", "z", "%20", "é", "a%2Fb", "a;x", "%3bx", "a%5Cb", "%ff", "%2525"}).Draw(t, "value")
		})
		if r.Host != "" && rapid.Bool().Draw(t, "its") {
			q.Host = r.Host
		}
		for name, value := range sorted(r.Headers) {
			q.Header.Add(name, value)
		}
		for name, value := range sorted(r.Query) {
			q.Query += name + "=" + value + "&"
		}
	}
	for range rapid.IntRange(0, 3).Draw(t, "pieces") {
		q.Path += rapid.SampledFrom([]string{"/a", "/a", "/b", "/c.d", "/z", "/", "/", "/%61", "%2f", "%2Fb", "%5cb", "\\a", ";x", "%3bx", ";", ".", "%2e", "/..", "/.;x", "%00", "%ff", "%c0%ae", "é", "%", "b", "%20"}).Draw(t, "piece")
	}
	if !strings.HasPrefix(q.Path, "/") {
		q.Path = "/" + q.Path
	}
	for range rapid.IntRange(0, 3).Draw(t, "values") {
		q.Header.Add(rapid.SampledFrom([]string{"X-A", "X-B"}).Draw(t, "name"), rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "value"))
		q.Query += rapid.SampledFrom([]string{"k=1", "k=2", "l=1", "&k=1", "&l=2", ";k=1", ";l=1", "&%6b=%31", "&k=%zz", "&k", "&&"}).Draw(t, "item")
	}
	return q
}

// TestAgainstNaive: the table finds what trying all rules finds.
func TestAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, rules := without(t, rapid.SliceOfN(drawRule, 1, 12).Draw(t, "rules"))
		reference := newNaive(rules)
		for range 20 {
			q := drawRequest(t, rules)
			if got, want := got(t, table, q), reference.find(q); !same(got, want) {
				t.Fatalf("%+v: %+v, want %+v", q, got, want)
			}
		}
	})
}

// everyRequest is all requests, each with at most one value of a name, that could tell two rules
// of drawRule with up to three segments of a and b apart.
func everyRequest(yield func(Request) bool) {
	paths := []string{""}
	for from := 0; len(paths) < 1+3+9+27; from++ {
		for _, s := range []string{"/a", "/b", "/z"} {
			paths = append(paths, paths[from]+s)
		}
	}
	for _, path := range paths {
		for _, path := range []string{path, path + "/"} {
			for _, method := range []string{"GET", "POST", "PUT", "HEAD"} {
				for _, host := range []string{"one.example", "two.example", ""} {
					for _, query := range []string{"", "k=1", "k=2", "l=1", "l=2", "k=1&l=1", "k=1&l=2", "k=2&l=1", "k=2&l=2"} {
						if path != "" && !yield(Request{method, host, path, query, nil}) {
							return
						}
					}
				}
			}
		}
	}
}

// TestConflictsAreAll: two rules are a conflict exactly if a request matches both equally well,
// and the example is one.
func TestConflictsAreAll(t *testing.T) {
	requests := slices.Collect(everyRequest)
	rapid.Check(t, func(t *rapid.T) {
		rule := drawRule.Filter(func(r Rule) bool { return len(r.Path) < 14 && !strings.Contains(r.Path, "c.d") })
		a, b := rule.Draw(t, "a"), rule.Draw(t, "b")
		if rapid.Bool().Draw(t, "alike") {
			b.Host, b.Headers, b.Query = a.Host, maps.Clone(a.Headers), maps.Clone(a.Query)
		}
		reference := newNaive([]Rule{a, b})
		both := func(q Request) bool {
			found, params := reference.all(q, q.Path, parseQuery(q.Query, "&"), false)
			best, _ := reference.best(found, params, q.Path)
			return len(best) == 2
		}
		_, err := NewTable(entries([]Rule{a, b}))
		bad, _ := errors.AsType[*TableError](err)
		if bad != nil {
			if len(bad.Invalid) != 0 || len(bad.Conflicts) != 1 || bad.Conflicts[0].First != 0 || bad.Conflicts[0].Second != 1 {
				t.Fatalf("%+v", bad)
			}
			if example := bad.Conflicts[0].Example; !both(example) {
				t.Fatalf("the example %+v does not match both", example)
			}
			return
		}
		for name := range a.Headers {
			if v, ok := b.Headers[name]; ok && v != a.Headers[name] {
				return // no request with one value of each header
			}
		}
		h := http.Header{}
		for _, r := range []Rule{a, b} {
			for name, value := range r.Headers {
				h.Set(name, value)
			}
		}
		for _, q := range requests {
			if q.Header = h; both(q) {
				t.Fatalf("%+v matches both", q)
			}
		}
	})
}
