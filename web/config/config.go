// Package config reads the hub's configuration file.
//
// It is strict: unknown keys, duplicates and invalid values are errors. Each error has its line
// and says what to do, and all are reported at once. A file with an error gives no
// configuration.
package config

import (
	"net/netip"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/egress"
	"jobhub/jobs/engine"
	"jobhub/web/auth/jwt"
	"jobhub/web/gateway"
	"jobhub/web/limit"
)

// Config is the content of a configuration file.
type Config struct {
	Hosts       []string
	Origins     []string
	EgressAllow []netip.Prefix
	Lease       time.Duration  // zero if not given
	Proxies     []netip.Prefix // whose X-Forwarded-For and -Proto are trusted
	Dashboard   string         // the only host that serves pages; empty for all
	Mask        []string       // names of headers and query parameters with credentials, besides the usual ones
	Limits      Limits
	Queues      map[string]Queue
	Routes      []gateway.Route
	Plans       map[string]*limit.RuleSet // by name; nil for one without limits
	Issuers     []jwt.Options             // identity providers whose tokens are taken
	KeyHeader   string                    // name of a header for the hub's keys, besides Authorization; empty if not given
	HTTP        HTTP
	Otel        string // base URL of an OpenTelemetry collector; empty for none

	Source []byte // the file

	name         string
	lines        map[int]int   // of routes, by their index
	callbackURLs []callbackURL // of all queues
}

// callbackURL is the URL of a callback, and where it is in the file.
type callbackURL struct {
	line    int
	at, url string
}

// CheckCallbacks calls check for the URL of each callback, and returns its errors, which should
// say what to do.
func (c *Config) CheckCallbacks(check func(url string) error) (errs Errors) {
	for _, p := range c.callbackURLs {
		if err := check(p.url); err != nil {
			errs = append(errs, Error{File: c.name, Line: p.line, At: p.at, Text: err.Error()})
		}
	}
	return errs
}

// Limits are the limits for callers; zero for those that the file does not set.
type Limits struct {
	ConnectionsPerAddress int // at the same time
	Queues, Kinds         int // of a tenant
}

// NameLimits returns the limits that the engine checks.
func (l Limits) NameLimits() engine.NameLimits {
	return engine.NameLimits{Queues: l.Queues, Kinds: l.Kinds}
}

// HTTP is how jobs and callbacks send HTTP requests. Routes have settings of their own.
type HTTP struct {
	egress.Outbound
	MaxInput int64 // largest input of a job of kind http or fanout, in bytes; 0 for the default
}

// Queue is the settings of one queue of the default tenant.
type Queue struct {
	Concurrency, Capacity, PerKey int // 0 for no limit
	Rate                          jobs.Rate
	QueueTimeout                  time.Duration
	Callbacks                     []jobs.Callback // for all jobs of the queue
}

// ApplyTo sets the limits in settings, those that are zero included.
func (q Queue) ApplyTo(to *jobs.QueueSettings) {
	to.Concurrency, to.Capacity, to.PerKey, to.Rate, to.QueueTimeout = q.Concurrency, q.Capacity, q.PerKey, q.Rate, jobs.Duration(q.QueueTimeout)
}
