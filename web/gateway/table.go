package gateway

import (
	"cmp"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"jobhub/jobs"
	"jobhub/jobs/egress"
)

// Table is all routes of a hub. A nil Table has none.
type Table struct{ routes []*Route }

// NewTable prepares routes, whose paths must differ. own is where the hub itself listens.
func NewTable(routes []Route, own *egress.Own) *Table {
	t := &Table{}
	for _, r := range routes {
		r.prepare(own)
		r.Stats = &Stats{}
		t.routes = append(t.routes, &r)
	}
	slices.SortFunc(t.routes, func(a, b *Route) int {
		return cmp.Or(cmp.Compare(len(b.Path), len(a.Path)), cmp.Compare(a.Path, b.Path))
	})
	return t
}

// KeepStats takes over the counters of an older table for routes with the same path and
// upstreams.
func (t *Table) KeepStats(old *Table) {
	if old == nil {
		return
	}
	for _, r := range t.routes {
		for _, was := range old.routes {
			if was.Path == r.Path && slices.Equal(was.Upstreams(), r.Upstreams()) {
				r.Stats = was.Stats
			}
		}
	}
}

// Routes returns all routes, sorted by path.
func (t *Table) Routes() (all []*Route) {
	if t != nil {
		all = slices.Clone(t.routes)
	}
	slices.SortFunc(all, func(a, b *Route) int { return cmp.Compare(a.Path, b.Path) })
	return all
}

// Close closes idle connections. Requests in progress continue.
func (t *Table) Close() {
	if t != nil {
		for _, r := range t.routes {
			r.transport.CloseIdleConnections()
			r.jobTransport.CloseIdleConnections()
		}
	}
}

// Transport returns how jobs of a route, named by its path, call the upstreams: the transport,
// and the largest answer in bytes (0 for the default). It is nil if the route is gone.
func (t *Table) Transport(path string) (http.RoundTripper, int64) {
	if t != nil {
		for _, r := range t.routes {
			if r.Path == path {
				return r.jobTransport, r.Outbound.MaxAnswer
			}
		}
	}
	return nil, 0
}

// Empty reports whether there are no routes.
func (t *Table) Empty() bool { return t == nil || len(t.routes) == 0 }

// Find returns the route with the longest matching prefix, or nil. A path that an upstream could
// read differently is an error.
func (t *Table) Find(u *url.URL) (*Route, error) {
	raw := u.EscapedPath()
	route := t.longestMatch(raw)
	if unambiguous(raw) {
		return route, nil
	}
	if isTraversal(u.Path) {
		if route == nil {
			return nil, nil
		}
		return nil, jobs.NewProblem(jobs.NotFound, "Not found",
			"The path has a segment . or .. or a control character, and could leave its route. Send it without these.")
	}
	if t.longestMatch(normalized(u.Path)) != route {
		return nil, jobs.NewProblem(jobs.NotFound, "Not found", "The path can be read in two ways, which belong to different routes. Send it without unnecessary escapes and double slashes.")
	}
	return route, nil
}

func (t *Table) longestMatch(path string) *Route {
	for _, r := range t.routes {
		if r.matches(path) {
			return r
		}
	}
	return nil
}

// unambiguous reports whether all servers read a path in the same way.
func unambiguous(raw string) bool {
	return !strings.ContainsAny(raw, "%\\") && !strings.Contains(raw, "//") && !strings.Contains(raw, "/.")
}

// isTraversal reports whether a decoded path has segments . or .., also as Windows and servlet
// containers read them, or control characters.
func isTraversal(decoded string) bool {
	for i := range len(decoded) {
		if decoded[i] < ' ' || decoded[i] == 0x7f {
			return true
		}
	}
	for segment := range strings.FieldsFuncSeq(decoded, func(c rune) bool { return c == '/' || c == '\\' }) {
		if name, _, _ := strings.Cut(segment, ";"); name == "." || name == ".." {
			return true
		}
	}
	return false
}

// normalized returns a decoded path as a server reads it that merges slashes.
func normalized(decoded string) string {
	clean := path.Clean("/" + decoded)
	if strings.HasSuffix(decoded, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}
