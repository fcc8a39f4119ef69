package gateway

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"jobhub/jobs"
	"jobhub/jobs/egress"
	"jobhub/web/gateway/cache"
	"jobhub/web/gateway/match"
	"jobhub/web/gateway/upgrade"
)

// Table is all routes of a hub. A nil Table has none.
type Table struct {
	routes  []*Route // by name
	byName  map[string]*Route
	matcher *match.Table[*Route]
}

// NewTable prepares routes. own is where the hub itself listens; answers stores answers, and may
// be nil. The error is a *match.TableError: no two routes may match one request equally well.
func NewTable(routes []Route, own *egress.Own, answers *cache.Cache) (*Table, error) {
	t := &Table{byName: make(map[string]*Route, len(routes))}
	entries := entriesOf(routes)
	var err error
	if t.matcher, err = match.NewTable(entries); err != nil {
		return nil, err
	}
	for _, e := range entries {
		r := e.Value
		r.prepare(own, answers)
		r.Stats, r.Sockets = &Stats{}, &upgrade.Counters{}
		t.routes, t.byName[r.Name()] = append(t.routes, r), r
	}
	slices.SortFunc(t.routes, func(a, b *Route) int { return cmp.Compare(a.Name(), b.Name()) })
	return t, nil
}

// CheckRules returns the error that NewTable would return.
func CheckRules(routes []Route) error {
	_, err := match.NewTable(entriesOf(routes))
	return err
}

func entriesOf(routes []Route) []match.Entry[*Route] {
	entries := make([]match.Entry[*Route], len(routes))
	for i := range routes {
		r := routes[i]
		entries[i] = match.Entry[*Route]{Rule: r.rule(), Value: &r}
	}
	return entries
}

// Start takes over the counters of an older table, which may be nil, for routes with the same
// name and upstreams, and what it knows of their upstreams. It begins to check these.
func (t *Table) Start(old *Table) {
	for name, r := range t.byName {
		var was *Route
		if old != nil {
			was = old.byName[name]
		}
		if was != nil && slices.Equal(was.Upstreams(), r.Upstreams()) {
			r.Stats, r.Sockets = was.Stats, was.Sockets
		}
		if r.pool != nil && was != nil && was.pool != nil {
			r.pool.Keep(was.pool)
		}
		if r.pool != nil {
			r.pool.Start()
		}
	}
}

// Routes returns all routes, sorted by name.
func (t *Table) Routes() []*Route {
	if t == nil {
		return nil
	}
	return slices.Clone(t.routes)
}

// Close ends the checks of upstreams and closes idle connections. Requests in progress continue.
func (t *Table) Close() {
	if t != nil {
		for _, r := range t.routes {
			if r.pool != nil {
				r.pool.Close()
			}
			r.transport.CloseIdleConnections()
			r.jobTransport.CloseIdleConnections()
		}
	}
}

// Transport returns how jobs that were submitted by a route call the upstreams: the transport,
// and the largest answer in bytes (0 for the default). It is nil if the route is gone.
func (t *Table) Transport(via jobs.Via) (http.RoundTripper, int64) {
	if t == nil || t.byName[via.Route] == nil {
		return nil, 0
	}
	r, known := t.byName[via.Route], kept(via.Values)
	if via.Guarded != (r.Guard != nil) { // another one has the name now
		return nil, 0
	}
	var next http.RoundTripper = r.jobTransport
	if r.pool != nil {
		next = memberTransport{r, known.Split}
	}
	return answerChanger{next, r, known.values()}, r.Outbound.MaxAnswer
}

// Empty reports whether there are no routes.
func (t *Table) Empty() bool { return t == nil || len(t.routes) == 0 }

// Find returns the best route for a request; its Rule is nil if there is none. A preflight
// request (Fetch, 3.3) has the route of the request that it asks for. See match.Table for errors.
func (t *Table) Find(r *http.Request) (match.Found[*Route], error) {
	q, err := match.FromHTTP(r)
	if err != nil || t == nil {
		return match.Found[*Route]{}, err
	}
	if asked := r.Header.Get("Access-Control-Request-Method"); r.Method == http.MethodOptions && asked != "" {
		q.Method = asked
	}
	return t.matcher.Find(q)
}

// rule returns the rule of a route. HEAD goes where GET does.
func (r *Route) rule() match.Rule {
	rule := r.Match
	rule.Path = r.Path
	if slices.Contains(rule.Methods, http.MethodGet) && !slices.Contains(rule.Methods, http.MethodHead) {
		rule.Methods = append(slices.Clip(rule.Methods), http.MethodHead)
	}
	return rule
}

// Params returns the names of the parameters in the path.
func (r *Route) Params() (names []string) {
	for segment := range strings.SplitSeq(r.Path, "/") {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			names = append(names, strings.TrimSuffix(name, "}"))
		}
	}
	return names
}

// Name returns the text that names a route among all: its path, and whatever else a request must
// have.
func (r *Route) Name() string {
	m := r.Match
	if m.Host == "" && len(m.Methods)+len(m.Headers)+len(m.Query) == 0 {
		return r.Path
	}
	var b strings.Builder
	if len(m.Methods) > 0 {
		b.WriteString(strings.Join(m.Methods, ",") + " ")
	}
	b.WriteString(strings.ToLower(m.Host) + r.Path)
	for i, name := range sortedKeys(m.Query) {
		b.WriteString([]string{"?", "&"}[min(i, 1)] + name + "=" + m.Query[name])
	}
	for _, name := range sortedKeys(m.Headers) {
		b.WriteString(" " + name + ": " + m.Headers[name])
	}
	return b.String()
}
