package gateway

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"jobhub/web/gateway/upstream"
)

// Pool is the upstreams of a route of which each request goes to one.
type Pool struct {
	Members []upstream.Member
	SplitBy upstream.Split // what requests to the same member have in common
	Health  upstream.Health
	Breaker upstream.Breaker
	Tries   int // of a proxied request; 1 if zero
}

// preparePool makes the pool of a route that has one.
func (r *Route) preparePool(timeout time.Duration) {
	if r.Pool == nil {
		return
	}
	p := r.Pool
	r.pool = upstream.NewPool(upstream.Options{Members: p.Members, Transport: r.transport, Health: p.Health, Breaker: p.Breaker, Tries: p.Tries, Timeout: timeout})
}

// Members returns the state of the upstreams of a pool; nil if the route has none.
func (r *Route) Members() []upstream.MemberState {
	if r.pool == nil {
		return nil
	}
	return r.pool.Members()
}

// base returns the URL to which the path of a proxied request is appended. A pool puts the path
// of its member before that.
func (r *Route) base() *url.URL {
	if r.pool == nil {
		return r.Upstream
	}
	return &url.URL{Scheme: r.Upstream.Scheme, Host: r.Upstream.Host}
}

// memberTransport is the transport of the jobs of a route with a pool: it chooses a member for
// each attempt. The URL of a job is that of the first member.
type memberTransport struct {
	route *Route
	key   string // see upstream.Call
}

func (t memberTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	member, done, err := t.route.pool.Pick(t.key)
	if err != nil {
		return nil, err
	}
	out := req.Clone(req.Context())
	path := strings.TrimPrefix(req.URL.EscapedPath(), strings.TrimSuffix(t.route.Upstream.EscapedPath(), "/"))
	out.URL.Scheme, out.URL.Host = member.Scheme, member.Host
	out.URL.RawPath = strings.TrimSuffix(member.EscapedPath(), "/") + path
	if out.URL.Path, err = url.PathUnescape(out.URL.RawPath); err != nil {
		out.URL.Path = out.URL.RawPath
	}
	if req.Host == req.URL.Host {
		out.Host = ""
	}
	res, err := t.route.jobTransport.RoundTrip(out)
	if err != nil {
		done(upstream.OutcomeOf(0))
		return nil, err
	}
	done(upstream.OutcomeOf(res.StatusCode))
	return res, nil
}
