package match

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestConflicts: rules that could match one request equally well are refused, all pairs at once.
func TestConflicts(t *testing.T) {
	get, post, both := []string{"GET"}, []string{"POST"}, []string{"GET", "POST"}
	one, two, other := map[string]string{"X": "1"}, map[string]string{"x": "2"}, map[string]string{"Y": "1"}
	for name, c := range map[string]struct {
		rules []Rule
		want  string // pairs
	}{
		"the same path":                  {[]Rule{{Path: "/a"}, {Path: "/a"}}, "0-1"},
		"three of them":                  {[]Rule{{Path: "/a"}, {Path: "/b"}, {Path: "/a"}, {Path: "/a"}}, "0-2 0-3 2-3"},
		"with and without slash":         {[]Rule{{Path: "/a"}, {Path: "/a/"}}, ""},
		"names of parameters":            {[]Rule{{Path: "/a/{x}"}, {Path: "/a/{y}"}}, "0-1"},
		"templates that cross":           {[]Rule{{Path: "/a/{x}/c"}, {Path: "/{y}/b/c"}}, "0-1"},
		"templates that cross, longer":   {[]Rule{{Path: "/a/{x}/c"}, {Path: "/{y}/b/c/d"}}, ""},
		"templates that never meet":      {[]Rule{{Path: "/a/{x}/c"}, {Path: "/{y}/b/d"}}, ""},
		"templates of different weight":  {[]Rule{{Path: "/a/{x}/c"}, {Path: "/{y}/{z}/c"}}, ""},
		"three that cross":               {[]Rule{{Path: "/a/b/{z}"}, {Path: "/a/{y}/c"}, {Path: "/{x}/b/c"}}, "0-1 0-2 1-2"},
		"hosts in different case":        {[]Rule{{Host: "H.example", Path: "/a"}, {Host: "h.EXAMPLE.", Path: "/a"}}, "0-1"},
		"addresses written differently":  {[]Rule{{Host: "[::1]", Path: "/a"}, {Host: "0:0::1", Path: "/a"}}, "0-1"},
		"different hosts":                {[]Rule{{Host: "h", Path: "/a"}, {Host: "i", Path: "/a"}, {Path: "/a"}}, ""},
		"methods that overlap":           {[]Rule{{Path: "/a", Methods: get}, {Path: "/a", Methods: post}, {Path: "/a", Methods: both}, {Path: "/a"}}, "0-2 1-2"},
		"methods and crossing":           {[]Rule{{Path: "/a/{x}", Methods: get}, {Path: "/{y}/b", Methods: post}}, ""},
		"one header with two values":     {[]Rule{{Path: "/a", Headers: one}, {Path: "/a", Headers: two}}, ""},
		"two headers":                    {[]Rule{{Path: "/a", Headers: one}, {Path: "/a", Headers: other}}, "0-1"},
		"the same header":                {[]Rule{{Path: "/a", Headers: one}, {Path: "/a", Headers: map[string]string{"x": "1"}}}, "0-1"},
		"a header and a parameter":       {[]Rule{{Path: "/a", Headers: one}, {Path: "/a", Query: one}}, ""},
		"two parameters":                 {[]Rule{{Path: "/a", Query: one}, {Path: "/a", Query: other}}, "0-1"},
		"parameters, with another value": {[]Rule{{Path: "/a", Query: map[string]string{"k": "1", "l": "1"}}, {Path: "/a", Query: map[string]string{"k": "2", "m": "1"}}}, ""},
	} {
		_, err := NewTable(entries(c.rules))
		bad, _ := errors.AsType[*TableError](err)
		var got []string
		if bad != nil {
			for _, conflict := range bad.Conflicts {
				got = append(got, fmt.Sprintf("%d-%d", conflict.First, conflict.Second))
			}
		}
		if strings.Join(got, " ") != c.want || (err != nil) != (c.want != "") {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// TestConflictTexts: the error says which request is claimed twice.
func TestConflictTexts(t *testing.T) {
	_, err := NewTable(entries([]Rule{
		{Host: "h", Path: "/a/{x}/", Methods: []string{"GET", "PUT"}, Headers: map[string]string{"x-a": "1"}, Query: map[string]string{"k": "1"}},
		{Host: "h", Path: "/{y}/b/", Methods: []string{"PUT"}, Headers: map[string]string{"x-b": "2"}, Query: map[string]string{"l": "ä"}}}))
	const want = "rules 0 and 1 match PUT h/a/b/?k=1&l=%C3%A4 with X-A: 1, X-B: 2 equally well; change a path, or give one of them a condition more"
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant %s", err, want)
	}
}

// TestManyConflicts: their list ends.
func TestManyConflicts(t *testing.T) {
	_, err := NewTable(entries(slices.Repeat([]Rule{{Path: "/a"}}, 100)))
	bad, _ := errors.AsType[*TableError](err)
	if bad == nil || len(bad.Conflicts) != 1000 || !bad.More || !strings.Contains(err.Error(), "and more") {
		t.Errorf("%+v", bad)
	}
}

// TestInvalidRules: each mistake is told with the member that has it.
func TestInvalidRules(t *testing.T) {
	long := strings.Repeat("/a", 65)
	many := map[string]string{}
	for i := range 33 {
		many[fmt.Sprint("k", i)] = ""
	}
	for want, r := range map[string]Rule{
		"path must begin with a slash":                                  {},
		"path must begin with a slash, like /orders/{id}":               {Path: "a"},
		"path must have no empty segments":                              {Path: "//"},
		"path must have no empty segments, . and ..":                    {Path: "/a/../b"},
		"path has a parameter that is only a part of the segment {id}:": {Path: "/a/{id}:cancel"},
		"path has a parameter that is only a part of the segment {":     {Path: "/a/{"},
		"path has the parameter {id} twice":                             {Path: "/{id}/{id}"},
		"path has the parameter {a.b}, whose name":                      {Path: "/{a.b}"},
		"path has the parameter {}, whose name":                         {Path: "/{}"},
		"path has the segment é, but":                                   {Path: "/é"},
		"path has the segment a%20b, but":                               {Path: "/a%20b"},
		"path has the segment a;b, but":                                 {Path: "/a;b"},
		"path must not have more than 64 segments":                      {Path: long},
		"path must not be longer than 1024 bytes":                       {Path: "/" + strings.Repeat("a", 1024)},
		"host can't have a *":                                           {Host: "*.example.com", Path: "/"},
		"host must be a name like api.example.com":                      {Host: "h:80", Path: "/"},
		"host must be a name like":                                      {Host: "http://h", Path: "/"},
		"host must be a name":                                           {Host: "bücher.example", Path: "/"},
		"methods get is not a method in upper case":                     {Path: "/", Methods: []string{"get"}},
		"methods CONNECT is never passed on":                            {Path: "/", Methods: []string{"CONNECT"}},
		"methods GET is given twice":                                    {Path: "/", Methods: []string{"GET", "GET"}},
		"headers a b is not the name of a header":                       {Path: "/", Headers: map[string]string{"a b": "1"}},
		"headers host can't be matched here":                            {Path: "/", Headers: map[string]string{"host": "h"}},
		"headers x-a is given twice":                                    {Path: "/", Headers: map[string]string{"X-A": "1", "x-a": "1"}},
		"headers X-A must have a value without control characters":      {Path: "/", Headers: map[string]string{"X-A": "1\n"}},
		"query must have a name":                                        {Path: "/", Query: map[string]string{"": "1"}},
		"query must not be more than 32":                                {Path: "/", Query: many},
	} {
		_, err := NewTable(entries([]Rule{{Path: "/fine"}, r}))
		if err == nil || !strings.HasPrefix(err.Error(), "rule 1: "+want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v, want %s", r, err, want)
		}
	}
	_, err := NewTable(entries([]Rule{{Path: "a", Methods: []string{"get"}}, {Path: "/b"}, {Path: "/b"}}))
	bad, _ := errors.AsType[*TableError](err)
	if bad == nil || len(bad.Invalid) != 2 || len(bad.Conflicts) != 1 {
		t.Errorf("not all is told: %v", err)
	}
}
