package match

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"jobhub/jobs/httpheader"
)

// Limits of a rule.
const (
	maxRulePath   = 1024 // bytes
	maxSegments   = 64   // of a path
	maxConditions = 32   // methods, headers, or query parameters
	maxParam      = 64   // bytes of a parameter's name
)

// Rule says which requests match. Members that are empty match every request; the path is
// required.
type Rule struct {
	Host    string            // a name or address without port; its case does not matter
	Path    string            // like /orders/{id}; see the documentation of the package
	Methods []string          // in upper case. GET does not include HEAD
	Headers map[string]string // exact values, by name; a request may have others beside them
	Query   map[string]string // exact values after decoding, by name; a request may have others beside them
}

// Invalid is what is wrong with one member of a rule.
type Invalid struct {
	Index  int    // of the entry
	Member string // host, path, methods, headers or query
	Key    string // the method, or the name of the header or parameter; empty for others
	Text   string // what to do, to be put behind the member's name
}

func (i Invalid) String() string {
	member := i.Member
	if i.Key != "" {
		member += " " + i.Key
	}
	return fmt.Sprintf("rule %d: %s %s", i.Index, member, i.Text)
}

// rule is a Rule in the form that is searched.
type rule struct {
	index      int
	host       string // in lower case; IPv6 addresses without brackets
	segments   []segment
	paramCount int  // how many of the segments are parameters
	below      bool // the path ends in a slash
	methods    []string
	headers    []pair // names are canonical
	query      []pair
	rank       rank
}

type segment struct {
	text  string // of a parameter, its name
	param bool
}

type pair struct{ name, value string }

// rank orders rules by the criteria of the best rule: the larger, the better.
type rank uint64

func (r *rule) computeRank() rank {
	bit := func(set bool) rank {
		if set {
			return 1
		}
		return 0
	}
	of := bit(r.host != "")
	of = of<<8 | rank(len(r.segments)-r.paramCount)
	of = of<<8 | rank(len(r.segments))<<1 | bit(r.below)
	of = of<<1 | bit(len(r.methods) > 0)
	of = of<<8 | rank(len(r.headers))
	return of<<8 | rank(len(r.query))
}

// compile checks a rule.
func compile(index int, from Rule) (*rule, []Invalid) {
	var errs []Invalid
	fail := func(member, key, format string, args ...any) {
		errs = append(errs, Invalid{Index: index, Member: member, Key: key, Text: fmt.Sprintf(format, args...)})
	}
	r := &rule{index: index}
	if from.Host != "" {
		if text := r.setHost(from.Host); text != "" {
			fail("host", "", "%s", text)
		}
	}
	if text := r.setPath(from.Path); text != "" {
		fail("path", "", "%s", text)
	}
	for _, m := range from.Methods {
		switch {
		case !httpheader.IsToken(m) || strings.ToUpper(m) != m:
			fail("methods", m, "is not a method in upper case, like GET")
		case m == http.MethodConnect || m == http.MethodTrace:
			fail("methods", m, "is never passed on; delete it")
		case slices.Contains(r.methods, m):
			fail("methods", m, "is given twice; keep one")
		}
		r.methods = append(r.methods, m)
	}
	slices.Sort(r.methods)
	for name, value := range sorted(from.Headers) {
		canonical := http.CanonicalHeaderKey(name)
		switch {
		case !httpheader.IsToken(name):
			fail("headers", name, "is not the name of a header")
		case canonical == "Host":
			fail("headers", name, "can't be matched here; give it as host")
		case slices.ContainsFunc(r.headers, func(p pair) bool { return p.name == canonical }):
			fail("headers", name, "is given twice, in different case; keep one")
		case strings.TrimSpace(value) != value || strings.ContainsFunc(value, isControl):
			fail("headers", name, "must have a value without control characters and without spaces at its ends; others never arrive")
		}
		r.headers = append(r.headers, pair{canonical, value})
	}
	for name, value := range sorted(from.Query) {
		if name == "" {
			fail("query", name, "must have a name")
		}
		r.query = append(r.query, pair{name, value})
	}
	for member, n := range map[string]int{"methods": len(r.methods), "headers": len(r.headers), "query": len(r.query)} {
		if n > maxConditions {
			fail(member, "", "must not be more than %d, but are %d", maxConditions, n)
		}
	}
	if len(errs) > 0 {
		slices.SortFunc(errs, func(a, b Invalid) int {
			return cmp.Or(cmp.Compare(a.Member, b.Member), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Text, b.Text))
		})
		return nil, errs
	}
	r.rank = r.computeRank()
	return r, nil
}

// sorted iterates over a map in the order of its keys.
func sorted(m map[string]string) func(func(string, string) bool) {
	return func(yield func(string, string) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if !yield(key, m[key]) {
				return
			}
		}
	}
}

func isControl(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

// setHost returns what is wrong with a host; empty if nothing is.
func (r *rule) setHost(host string) string {
	if strings.Contains(host, "*") {
		return "can't have a *; give each host a rule of its own, or leave the host out"
	}
	if strings.Count(host, ":") > 1 && !strings.HasPrefix(host, "[") {
		host = "[" + host + "]"
	}
	key, port, ok := appendHost(nil, host)
	if !ok || port {
		return "must be a name like api.example.com, in ASCII, or an IP address; without scheme, port and path"
	}
	r.host = string(key)
	return ""
}

// setPath returns what is wrong with a path; empty if nothing is.
func (r *rule) setPath(path string) string {
	rest, ok := strings.CutPrefix(path, "/")
	switch {
	case !ok:
		return "must begin with a slash, like /orders/{id}"
	case len(path) > maxRulePath:
		return fmt.Sprintf("must not be longer than %d bytes", maxRulePath)
	case rest == "":
		r.below = true
		return ""
	}
	rest, r.below = strings.CutSuffix(rest, "/")
	names := map[string]bool{}
	for text := range strings.SplitSeq(rest, "/") {
		name, opens := strings.CutPrefix(text, "{")
		name, closes := strings.CutSuffix(name, "}")
		switch {
		case text == "" || text == "." || text == "..":
			return "must have no empty segments, . and .."
		case opens && closes && !isParamName(name):
			return fmt.Sprintf("has the parameter {%s}, whose name must be 1 to %d of the characters a-z A-Z 0-9 _ -", name, maxParam)
		case opens && closes && names[name]:
			return fmt.Sprintf("has the parameter {%s} twice; give each its own name", name)
		case opens && closes:
			names[name] = true
			r.segments = append(r.segments, segment{name, true})
			r.paramCount++
			continue
		case strings.ContainsAny(text, "{}"):
			return fmt.Sprintf("has a parameter that is only a part of the segment %s; a parameter is a whole segment, like /{name}/", text)
		case !isPlain(text):
			return fmt.Sprintf("has the segment %s, but segments may only have the characters a-z A-Z 0-9 - . _ ~ ! $ & ' ( ) * + , = : @; a request with others can be matched by a parameter", text)
		}
		r.segments = append(r.segments, segment{text, false})
	}
	if len(r.segments) > maxSegments {
		return fmt.Sprintf("must not have more than %d segments", maxSegments)
	}
	return ""
}

func isParamName(name string) bool {
	return name != "" && len(name) <= maxParam && strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
}
