package web

import (
	"net/http"
	"slices"
	"time"

	"jobhub/web/gateway"
)

// Settings is what may change while the server runs.
type Settings struct {
	Hosts   []string // besides those of Config
	Origins []string // besides those of Config
	Routes  []gateway.Route

	MaxInput int64 // largest input of a job of kind http or fanout, in bytes; jobs.MaxInput if 0
}

type settings struct {
	Settings
	table *gateway.Table
}

// Apply replaces what may change. Requests under way end as they began.
func (s *Server) Apply(set Settings) {
	set.Hosts = slices.Concat(s.Hosts, set.Hosts)
	set.Origins = slices.Concat(s.Origins, set.Origins)
	table := gateway.NewTable(set.Routes, s.Own, s.fail)
	if old := s.settings.Load(); old != nil {
		table.Keep(old.table)
	}
	if old := s.settings.Swap(&settings{set, table}); old != nil {
		old.table.Close()
	}
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
