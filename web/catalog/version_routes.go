package catalog

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"jobhub/jobs"
	"jobhub/web/config"
	"jobhub/web/gateway"
	"jobhub/web/gateway/match"
	"jobhub/web/rest"
)

// decodeRoutes sets the routes of a version and their scopes.
func (v *Version) decodeRoutes(o *Options) error {
	v.Routes, v.scopes = nil, nil
	routes, err := config.DecodeRoutes(v.RouteList, v.Mock, o.OwnPaths)
	if wrong, ok := errors.AsType[config.Errors](err); ok {
		p := jobs.Invalid("", "")
		p.Errors = nil
		for _, e := range wrong[:min(len(wrong), maxNamed)] {
			p.Errors = append(p.Errors, jobs.MemberError{Pointer: e.Pointer(), Detail: e.Text})
		}
		return p
	}
	if err != nil {
		return jobs.ErrorUnder("/routes", err)
	}
	if len(routes) > rest.MaxVersionRoutes {
		return jobs.Invalid("/routes", "must be up to %d routes", rest.MaxVersionRoutes)
	}
	for i := range routes {
		r := &routes[i]
		r.API, r.Tenant, r.Base, r.Guard = v.FullName(), v.API.Tenant, v.Base, o.Guard
		if r.Mock = r.Mock || v.Mock; r.Mock {
			r.Async = gateway.Never
		}
		for _, scopes := range r.Scopes {
			v.scopes = append(v.scopes, scopes...)
		}
	}
	slices.Sort(v.scopes)
	v.Routes, v.scopes = routes, slices.Compact(v.scopes)
	return nil
}

// checkRoutes refuses routes of a version that are not allowed, or are in the way of others.
func (c *Catalog) checkRoutes(s *snapshot, v *Version) error {
	var files []gateway.Route
	if c.o.Files != nil {
		files = c.o.Files()
	}
	others := slices.DeleteFunc(slices.Clone(s.routes[:s.live]), func(r gateway.Route) bool { return r.Tenant == v.API.Tenant && r.API == v.FullName() })
	for i := range v.Routes {
		at := fmt.Sprintf("/routes/%d", i)
		if err := c.checkRoute(at, &v.Routes[i]); err != nil {
			return err
		}
		for _, other := range slices.Concat(files, others) {
			owner := other.Tenant
			if owner == "" {
				owner = jobs.DefaultTenant // the operator's
			}
			if owner != v.API.Tenant && overlap(&v.Routes[i], &other) {
				return conflict(at, &other, v)
			}
		}
	}
	all := slices.Concat(files, others, v.Routes)
	wrong, ok := errors.AsType[*match.TableError](gateway.CheckRules(all))
	if !ok {
		return nil
	}
	first := len(files) + len(others)
	for _, pair := range wrong.Conflicts {
		if pair.Second >= first && pair.First < first {
			return conflict(fmt.Sprintf("/routes/%d", pair.Second-first), &all[pair.First], v)
		}
	}
	return nil
}

// checkRoute checks one route for itself.
func (c *Catalog) checkRoute(at string, r *gateway.Route) error {
	if host := r.Match.Host; host != "" && (c.o.OwnHost == nil || !c.o.OwnHost(host)) {
		return jobs.Invalid(at+"/match/host", "is not a host of this hub; the operator can add it to hosts in the configuration file")
	}
	if first := strings.SplitN(r.Path, "/", 3)[1]; r.Tenant != jobs.DefaultTenant && (first == "" || strings.HasPrefix(first, "{")) {
		return jobs.Invalid(at+"/path", "must begin with a segment that is not a parameter, like /orders/")
	}
	if r.Guard == nil {
		return nil
	}
	if r.Upstream != nil && (r.Pool == nil || len(r.Pool.Members) == 1) {
		if _, detail := r.Guard.Refuses(r.Upstream); detail != "" {
			return blocked(at+"/upstream", detail)
		}
	}
	if r.Pool != nil {
		for i, m := range r.Pool.Members {
			if _, detail := r.Guard.Refuses(m.URL); detail != "" {
				return blocked(fmt.Sprintf("%s/upstreams/%d/url", at, i), detail)
			}
		}
	}
	for i, t := range r.Targets {
		if _, detail := r.Guard.Refuses(t.Upstream); detail != "" {
			return blocked(fmt.Sprintf("%s/targets/%d/upstream", at, i), detail)
		}
	}
	return nil
}

func blocked(pointer, detail string) error {
	p := jobs.Invalid(pointer, "%s", detail)
	p.Code, p.Type, p.Title = jobs.BlockedAddress, "urn:jobhub:problem:blocked_address", "Blocked address"
	return p
}

// conflict is the answer to a route that is in the way of another one.
func conflict(at string, other *gateway.Route, v *Version) error {
	name := "another API"
	switch {
	case other.API == "" || other.Guard == nil:
		name = "the route " + other.Name() + " of the configuration file"
	case other.Tenant == v.API.Tenant:
		name = "the route " + other.Name() + " of " + other.API
	}
	p := jobs.NewProblem(jobs.Conflict, "Route in use", "A route takes the same requests as %s. Change its path, or give it a condition more below match.", name)
	p.Errors = []jobs.MemberError{{Pointer: at + "/path", Detail: "takes the same requests as " + name}}
	return p
}

// overlap reports whether there are paths that both of two routes take.
func overlap(a, b *gateway.Route) bool {
	if a.Match.Host != "" && b.Match.Host != "" && !strings.EqualFold(a.Match.Host, b.Match.Host) {
		return false
	}
	x, y := segments(a.Path), segments(b.Path)
	for i := range min(len(x), len(y)) {
		if x[i] != y[i] && !strings.HasPrefix(x[i], "{") && !strings.HasPrefix(y[i], "{") {
			return false
		}
	}
	return true
}

func segments(path string) []string {
	return strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
}
