package web

import (
	"cmp"
	"net/http"

	"jobhub/jobs"
	"jobhub/web/catalog"
)

// This file is what the stages do for routes of APIs of the catalogue.

// passGate is the part of the stage May about the API of a route.
func (x *exchange) passGate() error {
	x.api = x.s.gate(x)
	for name, values := range x.api.Header {
		for _, v := range values {
			x.w.Header().Add(name, v)
		}
	}
	switch {
	case x.api.Hidden:
		return jobs.NewProblem(jobs.NotFound, "Not found", "There is nothing at %s.", x.r.URL.Path)
	case x.api.Err != nil:
		return x.api.Err
	}
	if access := x.api.Access; access != nil && access.Plan != "" {
		x.who.Plan = access.Plan
	}
	return nil
}

func (s *Server) gate(x *exchange) catalog.Verdict {
	if s.catalog.Catalog == nil {
		return catalog.Verdict{Hidden: true}
	}
	return s.catalog.Catalog.Gate(cmp.Or(x.route.Tenant, jobs.DefaultTenant), x.route.API, &x.who)
}

// editAnswer adds to an upstream's answer what the catalogue says, and keeps pages of a route that
// is not the operator's from acting for people at the dashboard, if that is on the same host.
func (x *exchange) editAnswer(h http.Header) {
	for name, values := range x.api.Header {
		if name != "Link" {
			h.Del(name)
		}
		for _, v := range values {
			h.Add(name, v)
		}
	}
	if x.route.Guard != nil && x.s.Settings().Dashboard == "" {
		h.Set("Content-Security-Policy", "sandbox")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Del("Service-Worker-Allowed")
	}
}
