package web

import (
	"cmp"
	"net/http"
	"net/netip"
	"slices"
	"time"

	"jobhub/web/gateway"
)

// Settings is what may change while the server runs.
type Settings struct {
	Hosts   []string // besides those of Config
	Origins []string // besides those of Config
	Routes  []gateway.Route

	Proxies               []netip.Prefix // whose X-Forwarded-For and -Proto are believed, besides those of Config
	Dashboard             string         // the host on which alone pages and their session are, and no routes; empty for all hosts
	KeyHeader             string         // takes keys and tokens beside Authorization; DefaultKeyHeader if empty
	ConnectionsPerAddress int            // 256 if zero
	MaxInput              int64          // largest input of a job of kind http or fanout, in bytes; jobs.MaxInput if 0
}

// DefaultKeyHeader takes keys and tokens of callers whose Authorization is for an API
// behind the hub.
const DefaultKeyHeader = "Jobhub-Key"

type settings struct {
	Settings
	table *gateway.Table
}

// Apply replaces what may change. Requests under way end as they began.
func (s *Server) Apply(set Settings) {
	set.Hosts = slices.Concat(s.Hosts, set.Hosts)
	set.Origins = slices.Concat(s.Origins, set.Origins)
	set.Proxies = slices.Concat(s.Proxies, set.Proxies)
	if set.Dashboard != "" {
		set.Hosts = append(set.Hosts, set.Dashboard)
	}
	set.KeyHeader = http.CanonicalHeaderKey(cmp.Or(set.KeyHeader, DefaultKeyHeader))
	set.ConnectionsPerAddress = cmp.Or(set.ConnectionsPerAddress, perAddress)
	table := gateway.NewTable(set.Routes, s.Own, s.fail)
	if old := s.settings.Load(); old != nil {
		table.Keep(old.table)
	}
	if old := s.settings.Swap(&settings{set, table}); old != nil {
		old.table.Close()
	}
}

// keyHeader is the canonical name of the header for keys.
func (s *Server) keyHeader() string { return s.settings.Load().KeyHeader }

// withoutKey is a request as an upstream may get it: without the header for keys.
func (s *Server) withoutKey(r *http.Request) *http.Request {
	name := s.keyHeader()
	if r.Header[name] == nil {
		return r
	}
	out := *r
	out.Header = r.Header.Clone()
	out.Header.Del(name)
	return &out
}

// RouteCalls is how jobs of a route call its upstreams (see gateway.Table.Calls).
func (s *Server) RouteCalls(path string) (http.RoundTripper, int64) {
	return s.settings.Load().table.Calls(path)
}

// ConfigState is what became of the configuration file.
type ConfigState struct {
	File     string    // its path; empty where there is none
	LoadedAt time.Time // when the one in force was read
	Err      error     // why a newer one is not in force; nil if there is none
	FailedAt time.Time // when that was read
}

// ReportConfig tells callers and the dashboard about the configuration file.
func (s *Server) ReportConfig(c ConfigState) { s.config.Store(&c) }
