package config

import (
	"time"

	"go.yaml.in/yaml/v4"

	"jobhub/web/gateway/upstream"
)

// poolFields reads the members of a route that are about several upstreams, or how one is checked.
func (r *routeReader) poolFields() map[string]field {
	return map[string]field{
		"upstreams": func(n *yaml.Node, at string) {
			r.list(n, at, func(n *yaml.Node, at string) { r.pool.Members = append(r.pool.Members, r.member(n, at)) })
		},
		"split_by": func(n *yaml.Node, at string) {
			if text, ok := r.text(n, at); ok {
				var err error
				if r.pool.SplitBy, err = upstream.ParseSplit(text); err != nil {
					r.fail(n, at, "%s", err)
				}
			}
		},
		"health": func(n *yaml.Node, at string) {
			r.mapping(n, at, map[string]field{
				"path": func(n *yaml.Node, at string) { r.pool.Health.Path = r.path(n, at) },
				"every": func(n *yaml.Node, at string) {
					r.pool.Health.Every, _ = r.duration(n, at, 100*time.Millisecond, time.Hour)
				},
				"timeout": func(n *yaml.Node, at string) {
					r.pool.Health.Timeout, _ = r.duration(n, at, 10*time.Millisecond, time.Minute)
				},
			})
			if n.Kind == yaml.MappingNode && r.pool.Health.Path == "" && !r.failedIn(at) {
				r.fail(n, at, "needs a path, like /up")
			}
		},
		"breaker": func(n *yaml.Node, at string) {
			r.mapping(n, at, map[string]field{
				"failures": func(n *yaml.Node, at string) { r.pool.Breaker.Failures, _ = r.number(n, at, 1, 1_000_000) },
				"window": func(n *yaml.Node, at string) {
					r.pool.Breaker.Window, _ = r.duration(n, at, 100*time.Millisecond, time.Hour)
				},
				"open": func(n *yaml.Node, at string) {
					r.pool.Breaker.Open, _ = r.duration(n, at, 10*time.Millisecond, time.Hour)
				},
			})
			if n.Kind == yaml.MappingNode && r.pool.Breaker.Failures == 0 && !r.failedIn(at) {
				r.fail(n, at, "needs failures, the number that opens it, like 5")
			}
		},
		"tries": func(n *yaml.Node, at string) { r.pool.Tries, _ = r.number(n, at, 1, 10) },
	}
}

func (r *routeReader) member(n *yaml.Node, at string) (m upstream.Member) {
	m.Weight = 1
	before := len(r.errs)
	r.mapping(n, at, map[string]field{
		"url":    func(n *yaml.Node, at string) { m.URL = r.upstream(n, at) },
		"weight": func(n *yaml.Node, at string) { m.Weight, _ = r.number(n, at, 0, 1_000_000) },
	})
	if m.URL == nil && len(r.errs) == before {
		r.fail(n, at, "needs a url, like http://10.0.0.1:9000")
	}
	return m
}

// setPool gives a route its pool, if it has members that need one.
func (r *routeReader) setPool() {
	var any *yaml.Node
	for _, name := range []string{"upstreams", "split_by", "health", "breaker", "tries"} {
		if n := r.given[name]; n != nil && any == nil {
			any = n
		}
	}
	switch {
	case any == nil:
		return
	case r.given["targets"] != nil:
		r.fail(any, r.at, "health, breaker, tries, split_by and upstreams are for routes whose requests go to one upstream; targets are all called")
		return
	case r.given["upstreams"] == nil && r.route.Upstream != nil:
		r.pool.Members = []upstream.Member{{URL: r.route.Upstream, Weight: 1}}
	}
	seen, total := map[string]bool{}, 0
	for _, m := range r.pool.Members {
		if m.URL == nil {
			return // an error
		}
		if seen[m.URL.String()] {
			r.fail(r.given["upstreams"], r.at+".upstreams", "lists %s twice; keep one", m.URL)
		}
		seen[m.URL.String()], total = true, total+m.Weight
	}
	if total == 0 {
		r.fail(any, r.at+".upstreams", "needs an upstream with a weight above 0")
		return
	}
	r.route.Pool, r.route.Upstream = r.pool, r.pool.Members[0].URL
}
