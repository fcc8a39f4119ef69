package match

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"jobhub/jobs"
)

// Entry is a rule and what it leads to.
type Entry[T any] struct {
	Rule  Rule
	Value T
}

// Table finds the best of its rules. A nil Table has none.
type Table[T any] struct {
	entries []Entry[T]
	rules   []*rule // of the entries
	index   *index
}

// NewTable makes a table. The error is a *TableError that lists all rules that are invalid and all
// pairs that conflict. The maps and slices of the rules must not be changed afterwards.
func NewTable[T any](entries []Entry[T]) (*Table[T], error) {
	var err TableError
	var rules []*rule
	for i, e := range entries {
		r, invalid := compile(i, e.Rule)
		err.Invalid = append(err.Invalid, invalid...)
		if r != nil {
			rules = append(rules, r)
		}
	}
	err.Conflicts, err.More = conflicts(rules)
	if len(err.Invalid) > 0 || len(err.Conflicts) > 0 {
		return nil, &err
	}
	return &Table[T]{slices.Clone(entries), rules, newIndex(rules)}, nil
}

// Found is the best rule for a request.
type Found[T any] struct {
	Value  T
	Index  int     // of the entry
	Rule   *Rule   // of the entry, not to be changed; nil if no rule matches
	Params []Param // in the order of the path

	rule *rule
	path string // of the request
}

// Param is a parameter of the path.
type Param struct {
	Name  string
	Value string // decoded; UTF-8 without control characters, slashes, backslashes and semicolons, and not empty
	Raw   string // as in the path of the request
}

// Param returns a parameter by its name.
func (f Found[T]) Param(name string) (Param, bool) {
	i := slices.IndexFunc(f.Params, func(p Param) bool { return p.Name == name })
	if i < 0 {
		return Param{}, false
	}
	return f.Params[i], true
}

// MethodError tells that rules match a request but for its method. It wraps a *jobs.Problem with
// the status 405.
type MethodError struct {
	Methods []string // which this request could have, sorted; for the header Allow

	problem *jobs.Problem
}

func (e *MethodError) Error() string { return e.problem.Error() }

// Unwrap returns the problem.
func (e *MethodError) Unwrap() error { return e.problem }

// Find returns the best rule for a request. If none matches, it returns the zero Found and no
// error; if some would match with another method, a *MethodError. The request is refused with a
// *jobs.Problem if it can be read in ways that give different rules or parameters, if a header
// or parameter that it repeats matches two rules equally well, or if its host or path is
// malformed.
//
// GET does not include HEAD, and no method includes OPTIONS. Look a CORS preflight up with the
// method that it asks for.
func (t *Table[T]) Find(r Request) (Found[T], error) {
	if t == nil {
		return Found[T]{}, nil
	}
	best, err := t.index.find(&r)
	if best == nil || err != nil {
		return Found[T]{}, err
	}
	params, err := best.params(r.Path)
	if err != nil {
		return Found[T]{}, err
	}
	e := &t.entries[best.index]
	return Found[T]{Value: e.Value, Index: best.index, Rule: &e.Rule, Params: params, rule: t.rules[best.index], path: r.Path}, nil
}

// find returns the best rule; nil if none matches.
func (x *index) find(r *Request) (*rule, error) {
	var buffer [maxHost]byte
	host, _, ok := appendHost(buffer[:0], r.Host)
	switch {
	case !ok:
		return nil, jobs.NewProblem(jobs.BadMessage, "Invalid host", "The host of the request is not a name or an IP address, with or without a port.")
	case !strings.HasPrefix(r.Path, "/"):
		return nil, badTarget()
	case len(r.Path) > maxPath:
		return nil, &jobs.Problem{Type: "urn:jobhub:problem:too_large", Title: "Path too long", Code: jobs.TooLarge, Status: http.StatusRequestURITooLong,
			Detail: fmt.Sprintf("The path has more than %d KiB. Send what is long in the body.", maxPath>>10)}
	}
	s := search{request: r, path: r.Path}
	s.run(x, host)
	if err := x.compareReadings(&s, host); err != nil {
		return nil, err
	}
	if s.tie {
		return nil, jobs.NewProblem(jobs.BadMessage, "Ambiguous request", "A header or a query parameter is repeated, with values that belong to different routes. Send each of them once.")
	}
	if s.best == nil {
		if allow := x.methods(r, host); len(allow) > 0 && !hostile(r.Path) {
			return nil, &MethodError{allow, &jobs.Problem{Type: "urn:jobhub:problem:unsupported", Title: "Method not allowed", Code: jobs.Unsupported, Status: http.StatusMethodNotAllowed,
				Detail: "This path does not take " + strings.ToValidUTF8(r.Method, "\ufffd") + ". Use one of these methods: " + strings.Join(allow, ", ") + "."}}
		}
	}
	return s.best, nil
}

// hostile reports whether a path is refused by all rules.
func hostile(path string) bool {
	if isPlain(path) {
		return false
	}
	_, is, _ := decodePath(path)
	return is
}

// rest returns the part of a path that is behind the rule's.
func (r *rule) rest(path string) string {
	for range r.segments {
		_, path = cutSegment(path)
	}
	if r.below {
		path = path[1:]
	}
	return path
}

// Rest returns what follows the segments of the rule's path in that of the request, escaped as it
// came: empty, or a slash and what is behind it. It is empty if no rule matches.
func (f Found[T]) Rest() string {
	if f.Rule == nil {
		return ""
	}
	rest := f.rule.rest(f.path)
	if f.rule.below {
		rest = "/" + rest
	}
	return rest
}

// Why returns the reason why the rule is the best one, for people. It shows no values of headers
// and parameters. It is empty if no rule matches.
func (f Found[T]) Why() string {
	if f.Rule == nil {
		return ""
	}
	var parts []string
	if f.Rule.Host != "" {
		parts = append(parts, "host "+f.Rule.Host)
	}
	path := "path " + f.Rule.Path
	rest := f.rule.rest(f.path)
	switch n := len(f.rule.segments); {
	case f.rule.paramCount > 0:
		path += fmt.Sprintf(" (template, %d of %d segments literal", n-f.rule.paramCount, n)
	case rest == "":
		path += " (exact"
	default:
		path += " (prefix"
	}
	if rest != "" {
		path += ", with more behind it"
	}
	parts = append(parts, path+")")
	if len(f.Rule.Methods) > 0 {
		parts = append(parts, "method "+strings.Join(f.Rule.Methods, " or "))
	}
	for name := range sorted(f.Rule.Headers) {
		parts = append(parts, "header "+http.CanonicalHeaderKey(name))
	}
	for name := range sorted(f.Rule.Query) {
		parts = append(parts, "query parameter "+name)
	}
	return strings.Join(parts, ", ")
}
