// Package config reads the hub's configuration file.
//
// It is strict: what it does not know, what stands there twice and what can't be right is
// an error with its line and what to do, and all errors are reported at once. A file
// with an error gives no configuration at all.
package config

import (
	"net/netip"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/egress"
	"jobhub/jobs/engine"
	"jobhub/web/gateway"
)

// Config is a configuration file.
type Config struct {
	Hosts       []string
	Origins     []string
	EgressAllow []netip.Prefix
	Lease       time.Duration  // zero if not given
	Proxies     []netip.Prefix // whose X-Forwarded-For and -Proto are believed
	Dashboard   string         // the host on which alone pages are; empty for all
	Mask        []string       // names of headers and query parameters that hold credentials, besides the usual ones
	Limits      Limits
	Queues      map[string]Queue
	Routes      []gateway.Route
	KeyHeader   string // takes the hub's keys beside Authorization; empty if not given
	HTTP        HTTP
	Otel        string // base URL of an OpenTelemetry collector; empty for none

	Source []byte // the file

	name         string
	lines        map[string]int // of routes, by path
	callbackURLs []callbackURL  // of the URLs of callbacks
}

// callbackURL is where a URL stands in the file.
type callbackURL struct {
	line    int
	at, url string
}

// CheckCallbacks returns what check finds wrong with the URLs of callbacks. Its error should
// say what to do.
func (c *Config) CheckCallbacks(check func(url string) error) (errs Errors) {
	for _, p := range c.callbackURLs {
		if err := check(p.url); err != nil {
			errs = append(errs, Error{File: c.name, Line: p.line, At: p.at, Text: err.Error()})
		}
	}
	return errs
}

// Limits are what the file says about what callers can have; zero for what it does not say.
type Limits struct {
	ConnectionsPerAddress int // at the same time
	Queues, Kinds         int // of a tenant
}

// NameLimits are the limits of the engine.
func (l Limits) NameLimits() engine.NameLimits {
	return engine.NameLimits{Queues: l.Queues, Kinds: l.Kinds}
}

// HTTP is how the calls of jobs and callbacks leave the hub, but for those of routes, which
// have their own.
type HTTP struct {
	egress.Outbound
	MaxInput int64 // largest input of a job of kind http or fanout, in bytes; 0 for the default
}

// Queue is what the file says about one queue of the default tenant: exactly these
// limits, and no others.
type Queue struct {
	Concurrency, Capacity, PerKey int // 0 for no limit
	Rate                          jobs.Rate
	QueueTimeout                  time.Duration
	Callbacks                     []jobs.Callback // which hear of all jobs of the queue
}

// ApplyTo writes the limits into settings.
func (q Queue) ApplyTo(to *jobs.QueueSettings) {
	to.Concurrency, to.Capacity, to.PerKey, to.Rate, to.QueueTimeout = q.Concurrency, q.Capacity, q.PerKey, q.Rate, jobs.Duration(q.QueueTimeout)
}
