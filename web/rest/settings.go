package rest

import (
	"cmp"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/web/auth/jwt"
	"jobhub/web/limit"
)

// Settings is what may change while the server runs.
type Settings struct {
	Hosts                 []string                  // names of the hub, besides loopback ones
	Origins               []string                  // foreign origins whose pages may use the hub
	Proxies               []netip.Prefix            // whose X-Forwarded-For and -Proto are trusted
	Dashboard             string                    // the only host that serves pages, and no routes; empty to serve both on all hosts
	KeyHeader             string                    // name of a header for keys and tokens, besides Authorization; DefaultKeyHeader if empty
	ConnectionsPerAddress int                       // 256 if zero
	MaxInput              int64                     // largest input of a job of kind http or fanout, in bytes; jobs.MaxInput if 0
	Plans                 map[string]*limit.RuleSet // by name
	Issuers               []jwt.Options             // identity providers whose tokens are taken; their clients are set by the server
}

// DefaultKeyHeader is for callers whose Authorization is meant for an API behind the hub.
const DefaultKeyHeader = "Jobhub-Key"

// Settings returns the settings in force.
func (s *Base) Settings() *Settings { return s.settings.Load() }

// UseSettings replaces the settings, and fills in the defaults.
func (s *Base) UseSettings(set *Settings) {
	set.KeyHeader = http.CanonicalHeaderKey(cmp.Or(set.KeyHeader, DefaultKeyHeader))
	set.ConnectionsPerAddress = cmp.Or(set.ConnectionsPerAddress, ConnectionsPerAddress)
	s.settings.Store(set)
}

// KeyHeader returns the canonical name of the header for keys.
func (s *Base) KeyHeader() string { return s.Settings().KeyHeader }

// ConfigState says which configuration file is in force, and whether a newer one failed.
type ConfigState struct {
	File     string    // its path; empty where there is none
	LoadedAt time.Time // when the one in force was read
	Err      error     // why a newer one is not in force; nil if there is none
	FailedAt time.Time // when that was read
}

// ConfigState returns what ReportConfig was called with last; nil if it was not called.
func (s *Base) ConfigState() *ConfigState { return s.config.Load() }

// ReportConfig sets what /readyz and the dashboard say about the configuration file.
func (s *Base) ReportConfig(c ConfigState) {
	s.config.Store(&c)
	s.Hub.Notify(jobs.Notice{Subject: jobs.ConfigurationChanged})
}

// OnDashboardHost reports whether a request is sent to the host of the dashboard.
func (set *Settings) OnDashboardHost(r *http.Request) bool {
	return set.Dashboard == "" || strings.EqualFold(hostname(r.Host), set.Dashboard)
}
