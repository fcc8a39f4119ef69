package gateway

import (
	"cmp"
	"maps"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/egress"
	"jobhub/web/gateway/match"
	"jobhub/web/gateway/transform"
	"jobhub/web/gateway/upgrade"
	"jobhub/web/gateway/upstream"
	"jobhub/web/limit"
)

// Async says when a request of a route becomes a job.
type Async uint8

const (
	OnRequest Async = iota // with ?async=true or Prefer: respond-async
	Never
	Always
)

// AsyncNames are the names in the configuration, by Async.
var AsyncNames = []string{OnRequest: "on-request", Never: "never", Always: "always"}

// Validation says what happens with requests that are not as the OpenAPI document says.
type Validation uint8

const (
	Off    Validation = iota
	Report            // they are logged and counted, and so are answers
	Strict            // they are refused
)

// ValidationNames are the names in the configuration, by Validation.
var ValidationNames = []string{Off: "off", Report: "report", Strict: "strict"}

// Defaults of a Route.
const (
	DefaultQueueTimeout = 30 * time.Second
	DefaultQueue        = "default"
)

// Route maps a path prefix of the hub to upstream HTTP APIs.
type Route struct {
	// Path is the prefix. If it ends in a slash, it matches every path that begins with it;
	// otherwise it matches itself and paths that continue with a slash. A segment may be a
	// parameter, {name}.
	Path  string
	Match match.Rule // what else a request must have; its Path is not used

	Upstream *url.URL // the request's path is appended to its own
	Targets  []Target // instead of Upstream: each request goes to all of them, as a fan-out job
	Policy   string   // of the fan-out; empty for its default
	Pool     *Pool    // its upstreams, if there are several or they are checked; Upstream is the first of them
	Strip    string   // a prefix to remove from the path

	Async        Async
	Queue        string        // DefaultQueue if empty
	QueueTimeout time.Duration // of its jobs; if zero, that of the queue, or else DefaultQueueTimeout
	Timeout      time.Duration // of one attempt, and until a synchronous answer begins; jobs.DefaultTimeout if zero
	MaxAttempts  int           // 1 if zero
	Backoff      jobs.Backoff

	Headers     map[string]string // set on requests to the upstream, replacing the caller's
	ForwardAuth bool              // pass the caller's Authorization and Cookie on
	Outbound    egress.Outbound   // how calls reach the upstream
	MaxInput    int64             // largest body of a request that becomes a job, in bytes; jobs.MaxInput if 0

	API      string        // of the catalogue, with its version, like orders/v2; empty for none
	Tenant   string        // whose API that is; the default one if empty
	Base     string        // what its paths have before those of the API's OpenAPI document
	Mock     bool          // answers are made from the examples of that document
	Validate Validation    // against that document
	Guard    *egress.Guard // decides which addresses are reached; nil for a route of the operator, which reaches all

	Auth   Methods // empty for those of the hub
	Scopes Scopes
	CORS   *CORS          // nil for that of the hub
	Limits *limit.RuleSet // nil for none

	WebSocket bool          // pass WebSockets through
	Cached    bool          // answers are stored (RFC 9111)
	CacheTTL  time.Duration // how long an answer is fresh that says nothing about it

	Request  *transform.Request  // changes of requests; nil for none
	Response *transform.Response // changes of answers; nil for none
	MaxBody  int64               // largest body of a request, and of an answer that is changed, in bytes; 0 for the defaults

	Stats   *Stats            // made by NewTable
	Sockets *upgrade.Counters // likewise

	proxy        *httputil.ReverseProxy
	transport    *egress.Transport // of proxied requests
	jobTransport *egress.Transport // of jobs
	pool         *upstream.Pool    // nil for none
	front        http.RoundTripper // of proxied requests: transport, with the pool, the cache and the rules of the route
	upgrades     http.RoundTripper // of WebSockets: the same without the cache
}

// UpstreamURL returns the URL to which a request of u is passed.
func (r *Route) UpstreamURL(u *url.URL) string {
	return upstreamURL(r.Upstream, r.Strip, u, r.Async != Never).String()
}

// Target is one of several upstreams of a route.
type Target struct {
	Name     string
	Upstream *url.URL
	Strip    string        // that of the route if empty
	Timeout  time.Duration // of its attempt; that of the route if zero
}

// Upstreams returns the origins of its upstreams, like http://127.0.0.1:9000.
func (r *Route) Upstreams() (all []string) {
	if r.Pool != nil {
		for _, m := range r.Pool.Members {
			all = append(all, origin(m.URL))
		}
		return all
	}
	if r.Upstream != nil {
		return []string{origin(r.Upstream)}
	}
	for _, t := range r.Targets {
		all = append(all, origin(t.Upstream))
	}
	return all
}

// QueueName returns the queue of the route's jobs.
func (r *Route) QueueName() string { return cmp.Or(r.Queue, DefaultQueue) }

// BecomesJob reports whether a request becomes a job. async and wait say whether it has the
// preferences respond-async and wait. HEAD and OPTIONS, which clients and browsers send on
// their own, become one only if they ask for it.
func (r *Route) BecomesJob(method, query string, async, wait bool) bool {
	if r.Mock {
		return false
	}
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

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
