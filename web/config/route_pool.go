package config

import (
	"time"

	"go.yaml.in/yaml/v4"

	"jobhub/web/gateway"
	"jobhub/web/gateway/upstream"
)

// poolFields reads the members of a route that are about several upstreams, or how one is checked.
func (r *reader) poolFields(p *gateway.Pool) map[string]field {
	return map[string]field{
		"upstreams": func(n *yaml.Node, at string) {
			r.list(n, at, func(n *yaml.Node, at string) { p.Members = append(p.Members, r.member(n, at)) })
		},
		"split_by": func(n *yaml.Node, at string) {
			if text, ok := r.text(n, at); ok {
				var err error
				if p.SplitBy, err = upstream.ParseSplit(text); err != nil {
					r.fail(n, at, "%s", err)
				}
			}
		},
		"health": func(n *yaml.Node, at string) {
			r.mapping(n, at, map[string]field{
				"path":  func(n *yaml.Node, at string) { p.Health.Path = r.path(n, at) },
				"every": func(n *yaml.Node, at string) { p.Health.Every, _ = r.duration(n, at, 100*time.Millisecond, time.Hour) },
				"timeout": func(n *yaml.Node, at string) {
					p.Health.Timeout, _ = r.duration(n, at, 10*time.Millisecond, time.Minute)
				},
			})
			if n.Kind == yaml.MappingNode && p.Health.Path == "" && !r.failedIn(at) {
				r.fail(n, at, "needs a path, like /up")
			}
		},
		"breaker": func(n *yaml.Node, at string) {
			r.mapping(n, at, map[string]field{
				"failures": func(n *yaml.Node, at string) { p.Breaker.Failures, _ = r.number(n, at, 1, 1_000_000) },
				"window": func(n *yaml.Node, at string) {
					p.Breaker.Window, _ = r.duration(n, at, 100*time.Millisecond, time.Hour)
				},
				"open": func(n *yaml.Node, at string) { p.Breaker.Open, _ = r.duration(n, at, 10*time.Millisecond, time.Hour) },
			})
			if n.Kind == yaml.MappingNode && p.Breaker.Failures == 0 && !r.failedIn(at) {
				r.fail(n, at, "needs failures, the number that opens it, like 5")
			}
		},
		"tries": func(n *yaml.Node, at string) { p.Tries, _ = r.number(n, at, 1, 10) },
	}
}

func (r *reader) member(n *yaml.Node, at string) (m upstream.Member) {
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
func (r *reader) setPool(at string, p *gateway.Pool, given map[string]*yaml.Node, route *gateway.Route) {
	var any *yaml.Node
	for _, name := range []string{"upstreams", "split_by", "health", "breaker", "tries"} {
		if n := given[name]; n != nil && any == nil {
			any = n
		}
	}
	switch {
	case any == nil:
		return
	case given["targets"] != nil:
		r.fail(any, at, "health, breaker, tries, split_by and upstreams are for routes whose requests go to one upstream; targets are all called")
		return
	case given["upstreams"] == nil && route.Upstream != nil:
		p.Members = []upstream.Member{{URL: route.Upstream, Weight: 1}}
	}
	seen, total := map[string]bool{}, 0
	for _, m := range p.Members {
		if m.URL == nil {
			return // an error
		}
		if seen[m.URL.String()] {
			r.fail(given["upstreams"], at+".upstreams", "lists %s twice; keep one", m.URL)
		}
		seen[m.URL.String()], total = true, total+m.Weight
	}
	if total == 0 {
		r.fail(any, at+".upstreams", "needs an upstream with a weight above 0")
		return
	}
	route.Pool, route.Upstream = p, p.Members[0].URL
}
