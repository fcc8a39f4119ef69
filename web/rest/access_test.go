package rest

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
		if got := who.May(auth.Watch, FilterTarget(test.filter)); got != test.want {
			t.Errorf("%+v: %v", test.filter, got)
		}
		viewer := auth.Identity{Tenant: "a", Role: auth.Viewer}
		if !viewer.May(auth.Watch, FilterTarget(test.filter)) || viewer.May(auth.Cancel, FilterTarget(test.filter)) {
			t.Errorf("a viewer does not just watch %+v", test.filter)
		}
	}
}
