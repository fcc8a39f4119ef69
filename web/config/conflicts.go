package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"jobhub/jobs/egress"
)

// PathConflicts compares the routes with the hub's own paths, which take precedence. own is
// http.ServeMux patterns. A route that can never be reached is an error; for one that shares
// some paths there is a note, except for the route /.
func (c *Config) PathConflicts(own []string) (notes []string, errs Errors) {
	for i, route := range c.Routes {
		var shared []string
		for _, pattern := range own {
			path, exact := strings.CutSuffix(pattern, "{$}")
			switch {
			case pattern == "/":
			case !exact && covers(path, route.Path):
				errs = append(errs, Error{File: c.name, Line: c.lines[i], At: fmt.Sprintf("routes[%d].path", i),
					Text: fmt.Sprintf("is never reached: %s is the hub's own; choose another path", path)})
			case strings.HasPrefix(path, route.Path) || !strings.HasSuffix(route.Path, "/") && path == route.Path:
				shared = append(shared, path)
			}
		}
		if len(shared) > 0 && route.Path != "/" {
			slices.Sort(shared)
			shared = slices.Compact(shared)
			text := strings.Join(shared[:min(3, len(shared))], ", ")
			if len(shared) > 3 {
				text += ", …"
			}
			notes = append(notes, fmt.Sprintf("%s:%d: %s does not get the hub's own paths below it: %s", c.name, c.lines[i], route.Path, text))
		}
	}
	return notes, errs
}

// SharedHosts returns a note if routes and the dashboard are served on the same hosts.
func (c *Config) SharedHosts() []string {
	if len(c.Routes) == 0 || c.Dashboard != "" {
		return nil
	}
	return []string{c.name + ": routes and dashboard share their hosts, so that a page of an upstream can act for everybody who is logged in; name a host for the dashboard alone with dashboard_host"}
}

// covers reports whether all paths of a route match a pattern of the hub.
func covers(pattern, route string) bool {
	if strings.HasSuffix(pattern, "/") {
		return pattern != "/" && strings.HasPrefix(route, pattern)
	}
	return !strings.HasSuffix(route, "/") && pattern == route
}

// Loops returns an error for each route whose upstream is the hub itself, which listens at own.
func (c *Config) Loops(own *egress.Own) (errs Errors) {
	for i, route := range c.Routes {
		upstreams := []*url.URL{route.Upstream}
		for _, t := range route.Targets {
			upstreams = append(upstreams, t.Upstream)
		}
		for _, u := range upstreams {
			if u != nil && own.Listens(u) {
				errs = append(errs, Error{File: c.name, Line: c.lines[i], At: fmt.Sprintf("routes[%d]", i),
					Text: fmt.Sprintf("leads back to this hub, which listens at %s; name the API that is meant", u.Host)})
			}
		}
	}
	return errs
}
