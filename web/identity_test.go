package web

import (
	"testing"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/auth"
)

// Of all that a subscription can select by, a token allows what it lists.
func TestSubscriptionsThatATokenAllows(t *testing.T) {
	who := auth.Identity{Tenant: "a", Grant: &auth.Grant{Jobs: []jobs.ID{{1}}, Queues: []string{"q"}, Tags: []string{"t"}, Actions: []auth.Action{auth.Watch}}}
	for _, test := range []struct {
		filter hub.Filter
		want   bool
	}{
		{hub.Filter{Job: jobs.ID{1}}, true},
		{hub.Filter{Job: jobs.ID{2}}, false},
		{hub.Filter{Queue: "q"}, true},
		{hub.Filter{Queue: "t"}, false},
		{hub.Filter{Tag: "t"}, true},
		{hub.Filter{Tag: "q"}, false},
		{hub.Filter{Kind: "q"}, false},
		{hub.Filter{All: true}, false},
	} {
		if got := who.May(auth.Watch, filterTarget(test.filter)); got != test.want {
			t.Errorf("%+v: %v", test.filter, got)
		}
		viewer := auth.Identity{Tenant: "a", Role: auth.Viewer}
		if !viewer.May(auth.Watch, filterTarget(test.filter)) || viewer.May(auth.Cancel, filterTarget(test.filter)) {
			t.Errorf("a viewer does not just watch %+v", test.filter)
		}
	}
}

// A view belongs to a tenant, whatever a client calls it.
func TestViewsOfATenant(t *testing.T) {
	s := &Server{}
	s.views = s.liveViews()
	a := auth.Identity{Tenant: "a", Role: auth.Viewer}
	for _, name := range []string{"overview", "a overview", "default overview", "b overview", "", " ", "a a overview"} {
		if err := s.findView(t.Context(), a, name); (err == nil) != (name == "overview") {
			t.Errorf("a asks for %q: %v", name, err)
		}
		if tenant, _, _ := splitView(viewName("a", name)); tenant != "a" {
			t.Errorf("%q of a is of %q", name, tenant)
		}
	}
	if s.findView(t.Context(), a, "hub") == nil {
		t.Error("who may only watch sees the hub from inside")
	}
}
