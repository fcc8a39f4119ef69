package config

import (
	"cmp"
	"maps"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"jobhub/jobs"
	"jobhub/jobs/call"
	"jobhub/web/gateway"
	"jobhub/web/limit"
)

func (r *reader) route(n *yaml.Node, at string, c *Config) {
	var route gateway.Route
	given := map[string]*yaml.Node{}
	fields := map[string]field{
		"path":     func(n *yaml.Node, at string) { route.Path = r.template(n, at) },
		"match":    func(n *yaml.Node, at string) { route.Match = r.match(n, at) },
		"upstream": func(n *yaml.Node, at string) { route.Upstream = r.upstream(n, at) },
		"strip":    func(n *yaml.Node, at string) { route.Strip = r.path(n, at) },
		"targets": func(n *yaml.Node, at string) {
			names := map[string]bool{}
			r.list(n, at, func(n *yaml.Node, at string) { route.Targets = append(route.Targets, r.target(n, at, names)) })
		},
		"policy": func(n *yaml.Node, at string) { route.Policy, _ = r.text(n, at) },
		"async": func(n *yaml.Node, at string) {
			if i, ok := r.oneOf(n, at, gateway.AsyncNames); ok {
				route.Async = gateway.Async(i)
			}
		},
		"queue": func(n *yaml.Node, at string) {
			if text, ok := r.text(n, at); ok && !jobs.WellFormedName(text) {
				r.fail(n, at, "must be "+jobs.NameRule+", but is %q", text)
			} else {
				route.Queue = text
			}
		},
		"queue_timeout": func(n *yaml.Node, at string) { route.QueueTimeout, _ = r.duration(n, at, time.Millisecond, 10*year) },
		"timeout":       func(n *yaml.Node, at string) { route.Timeout, _ = r.duration(n, at, time.Millisecond, 24*time.Hour) },
		"headers":       func(n *yaml.Node, at string) { route.Headers = r.headers(n, at) },
		"forward_auth":  func(n *yaml.Node, at string) { route.ForwardAuth, _ = r.boolean(n, at) },
		"retry":         func(n *yaml.Node, at string) { r.retry(n, at, &route) },
	}
	calls, end := r.outbound(&route.Outbound, &route.MaxInput)
	maps.Copy(fields, calls)
	var limits limit.Set
	maps.Copy(fields, r.accessFields(&route))
	maps.Copy(fields, r.apiFields(&route))
	maps.Copy(fields, r.limits(&limits))
	var changes changes
	maps.Copy(fields, r.changeFields(&changes))
	pool := &gateway.Pool{}
	maps.Copy(fields, r.poolFields(pool))
	fields["cache"] = func(n *yaml.Node, at string) {
		route.Cached = true
		r.mapping(n, at, map[string]field{"ttl": func(n *yaml.Node, at string) { route.CacheTTL, _ = r.duration(n, at, time.Millisecond, year) }})
	}
	fields["websocket"] = func(n *yaml.Node, at string) { route.WebSocket, _ = r.boolean(n, at) }
	fields["max_body"] = func(n *yaml.Node, at string) { route.MaxBody = r.size(n, at, maxAnswerSetting) }
	before := len(r.errs)
	if r.foreign {
		for _, member := range operatorOnly {
			fields[member] = r.onlyInFile
		}
	}
	r.recordKeys(given, fields)
	r.mapping(n, at, fields)
	end()
	if n.Kind != yaml.MappingNode {
		return
	}
	r.setPool(at, pool, given, &route)
	missing := func(key string) { r.fail(n, at, "needs %s", key) }
	switch {
	case given["path"] == nil:
		missing("a path, like /api/orders/")
	case given["upstream"] == nil && given["targets"] == nil && given["upstreams"] == nil && !route.Mock && !r.mocked:
		missing("an upstream, like http://127.0.0.1:9000")
	case given["upstream"] != nil && given["upstreams"] != nil:
		r.fail(given["upstreams"], at+".upstreams", "can't be combined with upstream; keep one of them")
	case given["upstream"] != nil && given["targets"] != nil:
		r.fail(given["targets"], at+".targets", "can't be combined with upstream; keep one of them")
	case given["targets"] != nil && len(r.errs) == before:
		r.fanout(given, at, &route)
	case given["policy"] != nil:
		r.fail(given["policy"], at+".policy", "is for routes with targets; delete it")
	}
	if route.API == "" && !r.foreign {
		for _, member := range []string{"mock", "validate"} {
			if given[member] != nil {
				r.fail(given[member], at+"."+member, "needs api, the API of the catalogue whose document it uses, like orders/v2")
			}
		}
	}
	if route.Path == "" {
		return
	}
	if route.Strip != "" && !hasPathPrefix(route.Path, route.Strip) {
		r.fail(given["strip"], at+".strip", "must be a prefix of the path %s that ends at a segment", route.Path)
	}
	r.compileChanges(at, &changes, &route)
	limits.Scope, limits.Name = "route "+route.Name(), "route"
	route.Limits = r.compileLimits(n, at, limits)
	c.lines[len(c.Routes)] = given["path"].Line
	c.Routes = append(c.Routes, route)
}

// recordKeys wraps fields so that given gets the node of each one that is read.
func (r *reader) recordKeys(given map[string]*yaml.Node, fields map[string]field) {
	for key, read := range fields {
		fields[key] = func(n *yaml.Node, at string) {
			given[key] = n
			read(n, at)
		}
	}
}

var policy = regexp.MustCompile(`^(all|any|settled|quorum:([1-9][0-9]{0,3}))$`)

// fanout checks a route to several upstreams.
func (r *reader) fanout(given map[string]*yaml.Node, at string, route *gateway.Route) {
	if len(route.Targets) == 0 {
		r.fail(given["targets"], at+".targets", "must have at least one target")
	}
	if n := given["async"]; n != nil && route.Async != gateway.Always {
		r.fail(n, at+".async", "must be always, or left out: a request to several targets is always a job (callers may wait for it with Prefer: wait=10)")
	}
	route.Async = gateway.Always
	if n := given["policy"]; n != nil {
		m := policy.FindStringSubmatch(route.Policy)
		if m == nil {
			r.fail(n, at+".policy", "must be all, any, settled or quorum:N")
			return
		}
		if quorum, _ := strconv.Atoi(cmp.Or(m[2], "1")); quorum > len(route.Targets) {
			r.fail(n, at+".policy", "needs more targets than the %d there are", len(route.Targets))
		}
	}
	for i, t := range route.Targets {
		if t.Strip != "" && !hasPathPrefix(route.Path, t.Strip) {
			r.fail(given["targets"].Content[i], at+".targets["+strconv.Itoa(i)+"].strip", "must be a prefix of the path %s that ends at a segment", route.Path)
		}
	}
}

func (r *reader) target(n *yaml.Node, at string, names map[string]bool) (t gateway.Target) {
	before := len(r.errs)
	r.mapping(n, at, map[string]field{
		"name": func(n *yaml.Node, at string) {
			text, ok := r.text(n, at)
			switch t.Name = text; {
			case ok && !call.TargetName.MatchString(text):
				r.fail(n, at, "must be a letter a-z and then up to 63 of a-z 0-9 _ -, not %q", text)
			case names[text]:
				r.fail(n, at, "%s is used twice; give each target its own name", text)
			}
			names[text] = true
		},
		"upstream": func(n *yaml.Node, at string) { t.Upstream = r.upstream(n, at) },
		"strip":    func(n *yaml.Node, at string) { t.Strip = r.path(n, at) },
		"timeout":  func(n *yaml.Node, at string) { t.Timeout, _ = r.duration(n, at, time.Millisecond, 24*time.Hour) },
	})
	if len(r.errs) == before && (t.Name == "" || t.Upstream == nil) {
		r.fail(n, at, "needs a name and an upstream")
	}
	return t
}

func (r *reader) upstream(n *yaml.Node, at string) *url.URL {
	u, ok := r.url(n, at)
	switch {
	case !ok:
		return nil
	case u.RawQuery != "" || u.ForceQuery:
		r.fail(n, at, "must not have a query; that of the request is passed on")
	case u.EscapedPath() != "" && !isPlainPath(u.EscapedPath()):
		r.fail(n, at, "must have a path without empty segments, . and ..")
	default:
		return u
	}
	return nil
}

// path reads a path prefix.
func (r *reader) path(n *yaml.Node, at string) string {
	if text, ok := r.text(n, at); ok && r.checkPath(n, at, text) {
		return text
	}
	return ""
}

func (r *reader) checkPath(n *yaml.Node, at, text string) bool {
	switch {
	case !strings.HasPrefix(text, "/"):
		r.fail(n, at, "must begin with a slash, like /api/orders/")
	case !isPlainPath(text):
		r.fail(n, at, "must have no empty segments, . and .., and otherwise only letters, digits and - . _ ~")
	default:
		return true
	}
	return false
}

var plainPath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)*/?$`)

func isPlainPath(path string) bool {
	return plainPath.MatchString(path) && !strings.Contains(path+"/", "/./") && !strings.Contains(path+"/", "/../")
}

// hasPathPrefix reports whether path begins with the segments of prefix.
func hasPathPrefix(path, prefix string) bool {
	prefix = strings.TrimSuffix(prefix, "/")
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

func (r *reader) retry(n *yaml.Node, at string, route *gateway.Route) {
	b := jobs.DefaultBackoff
	route.MaxAttempts = jobs.DefaultMaxAttempts
	var most *yaml.Node
	r.mapping(n, at, map[string]field{
		"max_attempts": func(n *yaml.Node, at string) { route.MaxAttempts, _ = r.number(n, at, 1, 1000) },
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
	route.Backoff = b
}
