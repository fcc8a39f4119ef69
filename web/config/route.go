package config

import (
	"maps"
	"time"

	"go.yaml.in/yaml/v4"

	"jobhub/jobs"
	"jobhub/web/gateway"
	"jobhub/web/limit"
)

// routeReader reads one route.
type routeReader struct {
	*reader
	at      string // of the route
	route   gateway.Route
	given   map[string]*yaml.Node // the members that are there
	changes changes
	pool    *gateway.Pool
}

// route reads a route and adds it to c.
func (r *reader) route(n *yaml.Node, at string, c *Config) {
	(&routeReader{reader: r, at: at, given: map[string]*yaml.Node{}, pool: &gateway.Pool{}}).read(n, c)
}

// read reads the route at n; one that has no path is not added to c.
func (r *routeReader) read(n *yaml.Node, c *Config) {
	fields := r.fields()
	calls, end := r.outbound(&r.route.Outbound, &r.route.MaxInput)
	maps.Copy(fields, calls)
	var limits limit.Set
	maps.Copy(fields, r.limits(&limits))
	before := len(r.errs)
	if r.foreign {
		for _, member := range operatorOnly {
			fields[member] = r.onlyInFile
		}
	}
	r.recordKeys(fields)
	r.mapping(n, r.at, fields)
	end()
	if n.Kind != yaml.MappingNode {
		return
	}
	r.setPool()
	r.check(n, len(r.errs) > before)
	if r.route.Path == "" {
		return
	}
	r.compileChanges()
	limits.Scope, limits.Name = "route "+r.route.Name(), "route"
	r.route.Limits = r.compileLimits(n, r.at, limits)
	c.lines[len(c.Routes)] = r.given["path"].Line
	c.Routes = append(c.Routes, r.route)
}

// fields reads the members of a route, but for its limits and its way out.
func (r *routeReader) fields() map[string]field {
	fields := map[string]field{
		"path":     func(n *yaml.Node, at string) { r.route.Path = r.template(n, at) },
		"match":    func(n *yaml.Node, at string) { r.route.Match = r.match(n, at) },
		"upstream": func(n *yaml.Node, at string) { r.route.Upstream = r.upstream(n, at) },
		"strip":    func(n *yaml.Node, at string) { r.route.Strip = r.path(n, at) },
		"targets": func(n *yaml.Node, at string) {
			names := map[string]bool{}
			r.list(n, at, func(n *yaml.Node, at string) { r.route.Targets = append(r.route.Targets, r.target(n, at, names)) })
		},
		"policy": func(n *yaml.Node, at string) { r.route.Policy, _ = r.text(n, at) },
		"async": func(n *yaml.Node, at string) {
			if i, ok := r.oneOf(n, at, gateway.AsyncNames); ok {
				r.route.Async = gateway.Async(i)
			}
		},
		"queue": func(n *yaml.Node, at string) {
			if text, ok := r.text(n, at); ok && !jobs.WellFormedName(text) {
				r.fail(n, at, "must be "+jobs.NameRule+", but is %q", text)
			} else {
				r.route.Queue = text
			}
		},
		"queue_timeout": func(n *yaml.Node, at string) { r.route.QueueTimeout, _ = r.duration(n, at, time.Millisecond, 10*year) },
		"timeout":       func(n *yaml.Node, at string) { r.route.Timeout, _ = r.duration(n, at, time.Millisecond, 24*time.Hour) },
		"headers":       func(n *yaml.Node, at string) { r.route.Headers = r.headers(n, at) },
		"forward_auth":  func(n *yaml.Node, at string) { r.route.ForwardAuth, _ = r.boolean(n, at) },
		"retry":         r.retry,
	}
	maps.Copy(fields, r.accessFields())
	maps.Copy(fields, r.apiFields())
	maps.Copy(fields, r.changeFields())
	maps.Copy(fields, r.poolFields())
	fields["cache"] = func(n *yaml.Node, at string) {
		r.route.Cached = true
		r.mapping(n, at, map[string]field{"ttl": func(n *yaml.Node, at string) { r.route.CacheTTL, _ = r.duration(n, at, time.Millisecond, year) }})
	}
	fields["websocket"] = func(n *yaml.Node, at string) { r.route.WebSocket, _ = r.boolean(n, at) }
	fields["max_body"] = func(n *yaml.Node, at string) { r.route.MaxBody = r.size(n, at, maxAnswerSetting) }
	return fields
}

// check checks what depends on several members; failed says that one of them has an error.
func (r *routeReader) check(n *yaml.Node, failed bool) {
	missing := func(key string) { r.fail(n, r.at, "needs %s", key) }
	switch {
	case r.given["path"] == nil:
		missing("a path, like /api/orders/")
	case r.given["upstream"] == nil && r.given["targets"] == nil && r.given["upstreams"] == nil && !r.route.Mock && !r.mocked:
		missing("an upstream, like http://127.0.0.1:9000")
	case r.given["upstream"] != nil && r.given["upstreams"] != nil:
		r.fail(r.given["upstreams"], r.at+".upstreams", "can't be combined with upstream; keep one of them")
	case r.given["upstream"] != nil && r.given["targets"] != nil:
		r.fail(r.given["targets"], r.at+".targets", "can't be combined with upstream; keep one of them")
	case r.given["targets"] != nil && !failed:
		r.fanout()
	case r.given["policy"] != nil:
		r.fail(r.given["policy"], r.at+".policy", "is for routes with targets; delete it")
	}
	if r.route.API == "" && !r.foreign {
		for _, member := range []string{"mock", "validate"} {
			if r.given[member] != nil {
				r.fail(r.given[member], r.at+"."+member, "needs api, the API of the catalogue whose document it uses, like orders/v2")
			}
		}
	}
	if r.route.Path != "" && r.route.Strip != "" && !hasPathPrefix(r.route.Path, r.route.Strip) {
		r.fail(r.given["strip"], r.at+".strip", "must be a prefix of the path %s that ends at a segment", r.route.Path)
	}
}

// recordKeys wraps fields so that r.given gets the node of each one that is read.
func (r *routeReader) recordKeys(fields map[string]field) {
	for key, read := range fields {
		fields[key] = func(n *yaml.Node, at string) {
			r.given[key] = n
			read(n, at)
		}
	}
}

func (r *routeReader) retry(n *yaml.Node, at string) {
	b := jobs.DefaultBackoff
	r.route.MaxAttempts = jobs.DefaultMaxAttempts
	var most *yaml.Node
	r.mapping(n, at, map[string]field{
		"max_attempts": func(n *yaml.Node, at string) { r.route.MaxAttempts, _ = r.number(n, at, 1, 1000) },
		"backoff": func(n *yaml.Node, at string) {
			if i, ok := r.oneOf(n, at, jobs.BackoffNames); ok {
				b.Kind = jobs.BackoffKind(i)
			}
		},
		"initial": func(n *yaml.Node, at string) { b.Initial, _ = r.duration(n, at, time.Millisecond, 24*time.Hour) },
		"max": func(n *yaml.Node, at string) {
			most = n
			b.Max, _ = r.duration(n, at, time.Millisecond, 7*24*time.Hour)
		},
	})
	if most == nil {
		b.Max = max(b.Max, b.Initial)
	} else if b.Max < b.Initial && b.Max > 0 {
		r.fail(most, at+".max", "must not be below initial, which is %s", b.Initial)
	}
	r.route.Backoff = b
}
