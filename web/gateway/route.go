package gateway

import (
	"cmp"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/egress"
)

// Async says when a request of a route becomes a job.
type Async uint8

const (
	OnRequest Async = iota // with ?async=true or Prefer: respond-async
	Never
	Always
)

// AsyncNames are the words of the configuration.
var AsyncNames = []string{OnRequest: "on-request", Never: "never", Always: "always"}

// Defaults of a Route.
const (
	DefaultQueueTimeout = 30 * time.Second
	DefaultQueue        = "default"
)

// Route is a path prefix of the hub that stands for upstream HTTP APIs.
type Route struct {
	// Path is the prefix. One that ends in a slash takes what begins with it; another
	// one takes itself and what continues with a slash.
	Path string

	Upstream *url.URL // the request's path is appended to its own
	Targets  []Target // instead of Upstream: each request goes to all of them, as a fan-out job
	Policy   string   // of the fan-out; empty for its default
	Strip    string   // a prefix that the upstream does not get to see

	Async        Async
	Queue        string        // DefaultQueue if empty
	QueueTimeout time.Duration // zero: that of the queue, or else DefaultQueueTimeout
	Timeout      time.Duration // of one attempt, and until a synchronous answer begins; zero: jobs.DefaultTimeout
	MaxAttempts  int           // 1 if zero
	Backoff      jobs.Backoff

	Headers     map[string]string // sent to the upstream, in place of what the caller sends
	ForwardAuth bool              // the caller's Authorization and Cookie are the upstream's
	Outbound    egress.Outbound   // how calls reach the upstream
	MaxInput    int64             // largest body of a request that becomes a job, in bytes; jobs.MaxInput if 0

	Stats *Stats // what happens on it; made with the table

	proxy        *httputil.ReverseProxy
	transport    *egress.Transport // of requests on their way through
	jobTransport *egress.Transport // of jobs
}

// Target is one of several upstreams of a route.
type Target struct {
	Name     string
	Upstream *url.URL
	Strip    string        // zero: that of the route
	Timeout  time.Duration // of its attempt; zero: that of the route
}

// Upstreams are the origins, like http://127.0.0.1:9000, that it leads to.
func (r *Route) Upstreams() (all []string) {
	if r.Upstream != nil {
		return []string{origin(r.Upstream)}
	}
	for _, t := range r.Targets {
		all = append(all, origin(t.Upstream))
	}
	return all
}

// QueueName is where the jobs of the route wait.
func (r *Route) QueueName() string { return cmp.Or(r.Queue, DefaultQueue) }

// BecomesJob reports whether a request is to become a job: async and wait are whether it
// prefers respond-async and wait. HEAD and OPTIONS, which clients and browsers send on
// their own, become one only when they ask for it.
func (r *Route) BecomesJob(method, query string, async, wait bool) bool {
	_, word := cutAsync(query)
	asked := word == "true" || word == "" && async
	switch r.Async {
	case Never:
		return false
	case Always:
		return asked || wait || method != "HEAD" && method != "OPTIONS"
	}
	return asked
}

// matches reports whether a path belongs to the route.
func (r *Route) matches(path string) bool {
	rest, ok := strings.CutPrefix(path, r.Path)
	return ok && (strings.HasSuffix(r.Path, "/") || rest == "" || rest[0] == '/')
}
