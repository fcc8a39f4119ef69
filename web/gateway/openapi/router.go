package openapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"jobhub/web/gateway/openapi/jsontree"
)

// segment is one part of a path template between slashes: texts with a parameter between each
// two of them. A literal segment is one text.
type segment struct {
	texts []string // one more than names
	names []string
}

// parseTemplate reads a path template; the second result says what is wrong with it.
func parseTemplate(template string) ([]segment, string) {
	switch {
	case !strings.HasPrefix(template, "/"):
		return nil, "must begin with a slash"
	case strings.ContainsAny(template, "?#"):
		return nil, "must not have a query or a fragment; describe query parameters under parameters"
	}
	var all []segment
	names := map[string]bool{}
	for part := range strings.SplitSeq(template[1:], "/") {
		s := segment{texts: []string{""}}
		for rest := part; rest != ""; {
			before, after, found := strings.Cut(rest, "{")
			text, err := url.PathUnescape(before)
			if err != nil || strings.Contains(before, "}") {
				return nil, "has a part that is no path: " + jsontree.Quote(part)
			}
			s.texts[len(s.texts)-1] = text
			if !found {
				break
			}
			name, end, closed := strings.Cut(after, "}")
			switch {
			case !closed || name == "" || strings.Contains(name, "{"):
				return nil, "has a parameter that is not written {name}: " + jsontree.Quote(part)
			case names[name]:
				return nil, "has the parameter " + jsontree.Quote(name) + " twice"
			case len(s.names) > 0 && text == "":
				return nil, "has two parameters without a text between them: " + jsontree.Quote(part)
			}
			names[name] = true
			s.names, s.texts = append(s.names, name), append(s.texts, "")
			rest = end
		}
		all = append(all, s)
	}
	return all, ""
}

// match returns the values of the parameters in a part of a path; ok is false if it does not
// match. Each value has at least one character.
func (s segment) match(part string) (values []string, ok bool) {
	last := len(s.texts) - 1
	if last == 0 {
		return nil, part == s.texts[0]
	}
	rest, ok := strings.CutPrefix(part, s.texts[0])
	if !ok {
		return nil, false
	}
	for _, text := range s.texts[1:last] {
		if rest == "" {
			return nil, false
		}
		i := strings.Index(rest[1:], text)
		if i < 0 {
			return nil, false
		}
		values = append(values, rest[:i+1])
		rest = rest[i+1+len(text):]
	}
	rest, ok = strings.CutSuffix(rest, s.texts[last])
	return append(values, rest), ok && rest != ""
}

// weight is how many characters are fixed.
func (s segment) weight() (n int) {
	for _, text := range s.texts {
		n += len(text)
	}
	return n
}

// overlaps reports whether a part of a path can match both; it may report too much.
func (s segment) overlaps(o segment) bool {
	a, b := s.texts[0], o.texts[0]
	y, z := s.texts[len(s.texts)-1], o.texts[len(o.texts)-1]
	return (strings.HasPrefix(a, b) || strings.HasPrefix(b, a)) && (strings.HasSuffix(y, z) || strings.HasSuffix(z, y))
}

// router is the paths of a document as a tree, a level for each segment.
type router struct {
	literals map[string]*router
	mixed    []mixed // with texts and parameters; the most characters first
	any      *router // a parameter alone
	end      *endpoint
}

type mixed struct {
	segment
	next *router
}

// endpoint is one path.
type endpoint struct {
	template   string
	segments   []segment
	operations map[string]*Operation // by method
}

// add adds a path. If another one matches the same requests equally well it is returned, with
// a text about it.
func (r *router) add(segments []segment, template string, operations []*Operation) (other, fault string) {
	at := r
	for _, s := range segments {
		switch {
		case len(s.names) == 0:
			if at.literals == nil {
				at.literals = map[string]*router{}
			}
			if at.literals[s.texts[0]] == nil {
				at.literals[s.texts[0]] = &router{}
			}
			at = at.literals[s.texts[0]]
		case s.weight() == 0:
			if at.any == nil {
				at.any = &router{}
			}
			at = at.any
		default:
			next, other := at.addMixed(s)
			if other != "" {
				return other, "has a segment that matches the same requests as the segment %s of another path, equally well; change one of them"
			}
			if next == nil {
				return template, "has one of too many segments with texts and parameters at the same place: %s"
			}
			at = next
		}
	}
	if at.end != nil {
		return at.end.template, "matches the same requests as %s; keep one of the two"
	}
	at.end = &endpoint{template, segments, make(map[string]*Operation, len(operations))}
	for _, op := range operations {
		at.end.operations[op.Method] = op
	}
	return "", ""
}

func (r *router) addMixed(s segment) (next *router, other string) {
	for _, m := range r.mixed {
		if slices.Equal(m.texts, s.texts) {
			return m.next, ""
		}
		if m.weight() == s.weight() && m.overlaps(s) {
			return nil, strings.Join(m.texts, "{…}")
		}
	}
	if len(r.mixed) == maxMixed {
		return nil, ""
	}
	next = &router{}
	r.mixed = append(r.mixed, mixed{s, next})
	slices.SortStableFunc(r.mixed, func(a, b mixed) int { return b.weight() - a.weight() })
	return next, ""
}

func (r *router) find(parts []string) *endpoint {
	if len(parts) == 0 {
		return r.end
	}
	if next := r.literals[parts[0]]; next != nil {
		if e := next.find(parts[1:]); e != nil {
			return e
		}
	}
	for _, m := range r.mixed {
		if _, ok := m.match(parts[0]); ok {
			if e := m.next.find(parts[1:]); e != nil {
				return e
			}
		}
	}
	if r.any != nil && parts[0] != "" {
		return r.any.find(parts[1:])
	}
	return nil
}

// Match is what Find found.
type Match struct {
	Operation *Operation        // nil if there is none
	Params    map[string]string // of the path, as they stand in it, percent-encoded
	Allow     []string          // the methods of the path, if it is there but not with this one: the answer is 405, else 404
}

// Find finds the operation of a request. path is as in the request, percent-encoded; base is
// the part of it before the paths of the document. With an empty base it is that of any of the
// document's servers. HEAD is answered by GET where it is not described.
//
// Segments are compared from left to right; a literal one wins over one with texts and
// parameters, and that over a parameter alone.
func (d *Document) Find(base, method, path string) Match {
	bases := d.bases
	if base != "" {
		bases = []string{strings.TrimRight(base, "/")}
	}
	var best Match
	for _, base := range bases {
		rest, ok := strings.CutPrefix(path, base)
		if !ok || rest != "" && rest[0] != '/' {
			continue
		}
		m := d.routes.match(method, strings.TrimPrefix(rest, "/"))
		if m.Operation != nil {
			return m
		}
		if best.Allow == nil {
			best = m
		}
	}
	return best
}

func (r *router) match(method, path string) Match {
	raw := strings.Split(path, "/")
	parts := make([]string, len(raw))
	for i, part := range raw {
		plain, err := url.PathUnescape(part)
		if err != nil {
			return Match{}
		}
		parts[i] = plain
	}
	e := r.find(parts)
	if e == nil {
		return Match{}
	}
	op := e.operations[method]
	if op == nil && method == http.MethodHead {
		op = e.operations[http.MethodGet]
	}
	if op == nil {
		var allow []string
		for name := range e.operations {
			allow = append(allow, name)
		}
		if e.operations[http.MethodGet] != nil && e.operations[http.MethodHead] == nil {
			allow = append(allow, http.MethodHead)
		}
		slices.Sort(allow)
		return Match{Allow: allow}
	}
	m := Match{Operation: op, Params: map[string]string{}}
	for i, s := range e.segments {
		values, ok := s.match(raw[i])
		if !ok { // the fixed texts are escaped in the request
			values, _ = s.match(parts[i])
			for j := range values {
				values[j] = url.PathEscape(values[j])
			}
		}
		for j, name := range s.names {
			m.Params[name] = values[j]
		}
	}
	return m
}
