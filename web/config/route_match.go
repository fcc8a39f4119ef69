package config

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"

	"jobhub/web/gateway"
	"jobhub/web/gateway/match"
)

// template reads the path of a route, whose segments may be parameters like {id}.
func (r *reader) template(n *yaml.Node, at string) string {
	text, ok := r.text(n, at)
	if !ok {
		return ""
	}
	plain := make([]string, 0, 8)
	for segment := range strings.SplitSeq(text, "/") {
		if strings.HasPrefix(segment, "{") && strings.HasSuffix(segment, "}") && len(segment) > 2 {
			segment = "x" // package match checks the name
		}
		plain = append(plain, segment)
	}
	if !r.checkPath(n, at, strings.Join(plain, "/")) {
		return ""
	}
	return text
}

// match reads what else a request of a route must have.
func (r *reader) match(n *yaml.Node, at string) (m match.Rule) {
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
