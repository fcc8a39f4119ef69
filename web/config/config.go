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
	"jobhub/web/gateway"
)

// Config is a configuration file (CONTRACT section 9).
type Config struct {
	Hosts       []string
	Origins     []string
	EgressAllow []netip.Prefix
	Lease       time.Duration // zero if not given
	Queues      map[string]Queue
	Routes      []gateway.Route
	HTTP        HTTP
	Otel        string // base URL of an OpenTelemetry collector; empty for none

	Source []byte // the file

	name  string
	lines map[string]int // of routes, by path
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

// Set writes the limits into settings.
func (q Queue) Set(to *jobs.QueueSettings) {
	to.Concurrency, to.Capacity, to.PerKey, to.Rate, to.QueueTimeout = q.Concurrency, q.Capacity, q.PerKey, q.Rate, jobs.Duration(q.QueueTimeout)
}
