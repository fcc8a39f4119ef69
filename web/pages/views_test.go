package pages

import (
	"testing"

	"jobhub/web/auth"
	"jobhub/web/rest"
)

// A view belongs to a tenant, whatever a client calls it.
func TestViewsOfATenant(t *testing.T) {
	s := &Server{Base: new(rest.Base)}
	s.views = s.liveViews()
	a := auth.Identity{Tenant: "a", Role: auth.Viewer}
	for _, name := range []string{"overview", "a overview", "default overview", "b overview", "", " ", "a a overview"} {
		key, err := s.FindView(t.Context(), a, name)
		if (err == nil) != (name == "overview") {
			t.Errorf("a asks for %q: %v", name, err)
		}
		if key.Tenant != "a" {
			t.Errorf("%q of a is of %q", name, key.Tenant)
		}
	}
	if _, err := s.FindView(t.Context(), a, "hub"); err == nil {
		t.Error("who may only watch sees the hub from inside")
	}
}
