package match

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// tenThousand is rules as a large gateway has them: versions of APIs with their collections,
// items and parts, by method and by host, some with headers and parameters.
func tenThousand() (rules []Rule) {
	for i := 0; len(rules) < 10_000; i++ {
		api := fmt.Sprintf("/api%d/v%d", i/4, i%4)
		rules = append(rules,
			Rule{Path: api + "/"},
			Rule{Path: api + "/orders", Methods: []string{"GET", "POST"}},
			Rule{Path: api + "/orders/{order}", Methods: []string{"GET"}},
			Rule{Path: api + "/orders/{order}", Methods: []string{"DELETE", "PUT"}},
			Rule{Path: api + "/orders/{order}/items/{item}"},
			Rule{Path: api + "/orders/{order}/items/first"},
			Rule{Path: api + "/orders", Methods: []string{"GET"}, Headers: map[string]string{"X-Beta": "1"}},
			Rule{Path: fmt.Sprintf("/{tenant}/shop%d/{id}", i), Query: map[string]string{"kind": "a"}},
			Rule{Host: fmt.Sprintf("api%d.example.com", i), Path: "/"},
			Rule{Host: fmt.Sprintf("api%d.example.com", i), Path: "/users/{user}"})
	}
	return rules
}

var requests = []struct {
	name   string
	line   string
	want   string
	allocs float64 // at most
}{
	{"prefix", "/api200/v1/customers/17/address/street", "/api200/v1/", 0},
	{"literal, by method", "POST /api100/v3/orders", "/api100/v3/orders", 0},
	{"host", "API777.example.com:8443/anything/below/it", "/", 0},
	{"template", "PUT /api249/v2/orders/8f14e45f", "/api249/v2/orders/{order}", 1},
	{"template, two parameters", "GET /api3/v0/orders/8f14e45f/items/12", "/api3/v0/orders/{order}/items/{item}", 1},
	{"template, by query", "GET /acme/shop500/5?x=1&kind=a", "/{tenant}/shop500/{id}", 1},
	{"host, template", "GET api1.example.com/users/42", "/users/{user}", 1},
	{"nothing", "GET /favicon.ico", "", 0},
	{"escapes", "GET /api3/v0/orders/a%20b/items/12", "/api3/v0/orders/{order}/items/{item}", 8},
	{"strange", "GET /api3/v0/a%2Fb//c;d%5Ce/%3Bf", "/api3/v0/", 200},
}

// BenchmarkFind: the best of 10,000 rules, in at most 2 µs.
func BenchmarkFind(b *testing.B) {
	table := newTable(b, tenThousand()...)
	for _, r := range requests {
		q := request(r.line)
		b.Run(r.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := table.Find(q); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFindAll is BenchmarkFind with requests for all of the rules in turn, of which few are in
// the caches of the processor.
func BenchmarkFindAll(b *testing.B) {
	rules := tenThousand()
	table := newTable(b, rules...)
	var all []Request
	for i, r := range rules {
		c, _ := compile(i, r)
		all = append(all, newConflict(c, c).Example)
	}
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if found, err := table.Find(all[i%len(all)]); err != nil || found.Rule == nil {
			b.Fatal(found, err)
		}
	}
}

// BenchmarkNewTable: a table of 10,000 rules, as at each reload.
func BenchmarkNewTable(b *testing.B) {
	all := entries(tenThousand())
	for b.Loop() {
		if _, err := NewTable(all); err != nil {
			b.Fatal(err)
		}
	}
}

// TestAllocations: what the benchmark finds, and that it allocates no more than the parameters.
func TestAllocations(t *testing.T) {
	table := newTable(t, tenThousand()...)
	for _, r := range requests {
		q := request(r.line)
		found, err := table.Find(q)
		got := ""
		if found.Rule != nil {
			got = found.Rule.Path
		}
		if got != r.want || err != nil {
			t.Errorf("%s: %q, %v, want %q", r.name, got, err, r.want)
		}
		if n := testing.AllocsPerRun(100, func() { table.Find(q) }); n > r.allocs {
			t.Errorf("%s: %v allocations, want at most %v", r.name, n, r.allocs)
		}
	}
}
