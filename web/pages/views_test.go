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
		if err := s.FindView(t.Context(), a, name); (err == nil) != (name == "overview") {
			t.Errorf("a asks for %q: %v", name, err)
		}
		if tenant, _, _ := rest.SplitView(rest.ViewName("a", name)); tenant != "a" {
			t.Errorf("%q of a is of %q", name, tenant)
		}
	}
	if s.FindView(t.Context(), a, "hub") == nil {
		t.Error("who may only watch sees the hub from inside")
	}
}
