package config

import (
	"errors"
	"fmt"

	"go.yaml.in/yaml/v4"

	"jobhub/web/gateway"
	"jobhub/web/gateway/match"
)

// match reads what else a request of a route must have.
func (r *routeReader) match(n *yaml.Node, at string) (m match.Rule) {
	r.mapping(n, at, map[string]field{
		"host": func(n *yaml.Node, at string) {
			if text, ok := r.text(n, at); ok && r.host(n, at, text) {
				m.Host = text
			}
		},
		"methods": r.texts(&m.Methods, r.httpMethod),
		"headers": r.pairs(&m.Headers),
		"query":   r.pairs(&m.Query),
	})
	return m
}

// checkRoutes reports routes that are invalid together: no two may match one request equally
// well.
func (r *reader) checkRoutes(c *Config) {
	err := gateway.CheckRules(c.Routes)
	wrong, ok := errors.AsType[*match.TableError](err)
	if !ok {
		return
	}
	fail := func(route int, member, format string, args ...any) {
		r.errs = append(r.errs, Error{File: r.file, Line: c.lines[route], At: fmt.Sprintf("routes[%d].%s", route, member), Text: fmt.Sprintf(format, args...)})
	}
	for _, i := range wrong.Invalid {
		member := i.Member
		if member != "path" {
			member = "match." + member
		}
		if i.Key != "" {
			member += "." + i.Key
		}
		fail(i.Index, member, "%s", i.Text)
	}
	for _, pair := range wrong.Conflicts {
		place := fmt.Sprintf("in line %d", c.lines[pair.First])
		if r.foreign {
			place = fmt.Sprintf("of routes[%d]", pair.First)
		}
		fail(pair.Second, "path", "overlaps with %s %s: both match %s equally well; change a path or give one a condition more below match",
			c.Routes[pair.First].Path, place, pair.Example)
	}
}
