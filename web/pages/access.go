package pages

import (
	"net/http"

	"jobhub/web/auth"
	"jobhub/web/catalog"
	"jobhub/web/rest"
)

// mayPage is rest.Base.May for the pages: it shows the login page to those who are not logged in.
func (s *Server) mayPage(a auth.Action, h rest.Handler) http.HandlerFunc {
	return s.page(s.Authenticated(h, func(_ *http.Request, who auth.Identity) error { return rest.Allow(who, a) }))
}

// mayCatalog is mayPage for pages of the catalogue, which has its own rule.
func (s *Server) mayCatalog(h rest.Handler) http.HandlerFunc {
	return s.page(s.Authenticated(func(w http.ResponseWriter, r *http.Request) error {
		if s.Catalog.Catalog == nil {
			return catalog.ErrNone
		}
		return h(w, r)
	}, func(_ *http.Request, who auth.Identity) error {
		if catalog.MayAsk(&who) {
			return nil
		}
		return rest.Allow(who, auth.Watch)
	}))
}

// open lets anybody call the handler of a page.
func (s *Server) open(h rest.Handler) http.HandlerFunc { return s.page(rest.Everybody(h)) }

// page calls the handler of a page, and answers with its error.
func (s *Server) page(h rest.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		switch err := h(w, r); {
		case err == rest.ErrAnonymous:
			toLogin(w, r)
		case err != nil:
			s.FailPage(w, r, err)
		}
	}
}

// Anybody is for pages that all may read; they know who is logged in.
func (s *Server) Anybody(h rest.Handler) http.HandlerFunc {
	return s.open(func(w http.ResponseWriter, r *http.Request) error {
		if who, err := s.Identify(r); err == nil {
			r = r.WithContext(rest.WithIdentity(r.Context(), who))
		}
		return h(w, r)
	})
}

// inside is for pages that show the internals of the hub.
func (s *Server) inside(h rest.Handler) http.HandlerFunc {
	return s.mayPage(auth.Administer, func(w http.ResponseWriter, r *http.Request) error {
		if !rest.IsHubTenant(rest.Tenant(r)) {
			return rest.ErrHubTenantOnly
		}
		return h(w, r)
	})
}
