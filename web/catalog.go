package web

import (
	"context"
	"errors"
	"slices"

	"jobhub/jobs/egress"
	"jobhub/web/catalog"
	"jobhub/web/gateway"
	"jobhub/web/gateway/match"
)

// This file joins the routes of the configuration file and those of the catalogue.

// OpenCatalog reads the catalogue of APIs from documents; without it the hub keeps none. guard
// decides where its routes may lead; nil for public addresses only. Call it before Apply and
// before requests are served.
func (s *Server) OpenCatalog(ctx context.Context, documents catalog.Documents, guard *egress.Guard) error {
	if guard == nil {
		guard = egress.New(egress.Options{Own: s.config.Own})
	}
	c, err := catalog.Open(ctx, catalog.Options{
		Documents: documents, Logger: s.Logger, Origin: s.Origin, OwnPaths: OwnPaths(), Guard: guard,
		OwnHost: s.IsOwnHost,
		Files:   func() []gateway.Route { return s.applied.Load().routes },
		HasPlan: func(name string) bool { _, has := s.Settings().Plans[name]; return has },
		Changed: s.catalogChanged,
	})
	if err != nil {
		return err
	}
	s.catalog.Catalog = c
	s.catalogChanged()
	return nil
}

// applied is what Apply was called with last.
type applied struct {
	set    Settings
	routes []gateway.Route
}

// catalogChanged puts the routes of the catalogue in force.
func (s *Server) catalogChanged() {
	s.applying.Lock()
	defer s.applying.Unlock()
	now := s.applied.Load()
	if err := s.apply(now.set, now.routes); err != nil {
		s.Logger.Error("the routes of the catalogue are not in force", "error", err)
	}
}

// withCatalog returns the routes of the configuration file and those of the catalogue, without
// those of the latter that would take the same requests as others before them.
func (s *Server) withCatalog(files []gateway.Route) []gateway.Route {
	if s.catalog == nil || s.catalog.Catalog == nil {
		return files
	}
	all := append(slices.Clip(files), s.catalog.Catalog.Routes()...)
	for {
		wrong, ok := errors.AsType[*match.TableError](gateway.CheckRules(all))
		if !ok {
			return all
		}
		drop := map[int]bool{}
		for _, i := range wrong.Invalid {
			drop[i.Index] = true
		}
		for _, pair := range wrong.Conflicts {
			drop[pair.Second] = true
		}
		var kept []gateway.Route
		for i, r := range all {
			if i >= len(files) && drop[i] {
				s.Logger.Warn("a route of the catalogue is not in force, as another one takes its requests", "route", r.Name(), "api", r.API)
				continue
			}
			kept = append(kept, r)
		}
		if len(kept) == len(all) { // the file's own routes are wrong, which Apply reports
			return all
		}
		all = kept
	}
}
