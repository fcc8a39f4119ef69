package rest

import (
	"cmp"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// Settings is what may change while the server runs.
type Settings struct {
	Hosts                 []string       // names by which the hub may be called, besides loopback ones
	Origins               []string       // foreign origins whose pages may use the hub
	Proxies               []netip.Prefix // whose X-Forwarded-For and -Proto are believed
	Dashboard             string         // the host on which alone pages and their session are, and no routes; empty for all hosts
	KeyHeader             string         // takes keys and tokens beside Authorization; DefaultKeyHeader if empty
	ConnectionsPerAddress int            // 256 if zero
	MaxInput              int64          // largest input of a job of kind http or fanout, in bytes; jobs.MaxInput if 0
}

// DefaultKeyHeader takes keys and tokens of callers whose Authorization is for an API
// behind the hub.
const DefaultKeyHeader = "Jobhub-Key"

// Settings are those in force.
func (s *Base) Settings() *Settings { return s.settings.Load() }

// UseSettings puts other settings in force.
func (s *Base) UseSettings(set *Settings) {
	set.KeyHeader = http.CanonicalHeaderKey(cmp.Or(set.KeyHeader, DefaultKeyHeader))
	set.ConnectionsPerAddress = cmp.Or(set.ConnectionsPerAddress, ConnectionsPerAddress)
	s.settings.Store(set)
}

// KeyHeader is the canonical name of the header for keys.
func (s *Base) KeyHeader() string { return s.Settings().KeyHeader }

// ConfigState is what became of the configuration file.
type ConfigState struct {
	File     string    // its path; empty where there is none
	LoadedAt time.Time // when the one in force was read
	Err      error     // why a newer one is not in force; nil if there is none
	FailedAt time.Time // when that was read
}

// ConfigState is what became of the configuration file; nil where nothing was reported.
func (s *Base) ConfigState() *ConfigState { return s.config.Load() }

// ReportConfig tells callers and the dashboard about the configuration file.
func (s *Base) ReportConfig(c ConfigState) { s.config.Store(&c) }

// OnDashboardHost reports whether a request is sent to the host of the dashboard.
func (set *Settings) OnDashboardHost(r *http.Request) bool {
	return set.Dashboard == "" || strings.EqualFold(hostname(r.Host), set.Dashboard)
}
