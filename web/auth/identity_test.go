package auth

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"jobhub/jobs"
)

var everyAction = []Action{Watch, Submit, Cancel, Work, Operate, Administer}

func TestWhatARoleMayDo(t *testing.T) {
	for role, want := range map[Role]string{
		Admin:     "watch submit cancel work operate administer",
		Operator:  "watch submit cancel work operate",
		Submitter: "watch submit cancel",
		Worker:    "watch work",
		Viewer:    "watch",
		"":        "",
		"root":    "",
	} {
		var got string
		for _, a := range everyAction {
			for _, on := range []Target{{}, {Job: jobs.ID{1}, Queue: "q", Tags: []string{"t"}}} {
				may := Identity{Tenant: "default", Role: role}.May(a, on)
				if may && on.Queue == "" {
					got += " " + string(a)
				}
				if may != (Identity{Role: role}).May(a, Target{}) {
					t.Errorf("%s may %s depends on the target", role, a)
				}
			}
		}
		if want != "" {
			want = " " + want
		}
		if got != want {
			t.Errorf("%q may%s, want%s", role, got, want)
		}
	}
}

func TestWhatATokenAllows(t *testing.T) {
	a, b := uuid.UUID{1}, uuid.UUID{2}
	g := Grant{Jobs: []jobs.ID{a}, Queues: []string{"reports"}, Tags: []string{"user:7"}, Actions: []Action{Watch}}
	for _, test := range []struct {
		what string
		on   Target
		want bool
	}{
		{"a listed job", Target{Job: a, Queue: "default"}, true},
		{"a listed job by id alone", Target{Job: a}, true},
		{"another job", Target{Job: b, Queue: "default", Tags: []string{"user:8"}}, false},
		{"a job in a listed queue", Target{Job: b, Queue: "reports"}, true},
		{"a job with a listed tag", Target{Job: b, Queue: "default", Tags: []string{"x", "user:7"}}, true},
		{"a listed queue", Target{Queue: "reports"}, true},
		{"another queue", Target{Queue: "report"}, false},
		{"a listed tag", Target{Tags: []string{"user:7"}}, true},
		{"another tag", Target{Tags: []string{"user:70"}}, false},
		{"everything, or a kind", Target{}, false},
	} {
		for _, action := range everyAction {
			for _, granted := range [][]Action{{Watch}, {Cancel}, {Watch, Cancel}, everyAction, nil} {
				g := g
				g.Actions = granted
				// A role beside a grant adds nothing.
				who := Identity{Tenant: "default", Role: Admin, Grant: &g}
				want := test.want && slices.Contains(granted, action) && slices.Contains(Grantable, action)
				if got := who.May(action, test.on); got != want {
					t.Errorf("a token for %v may %s %s: %v, want %v", granted, action, test.what, got, want)
				}
			}
		}
	}
	empty := Identity{Grant: &Grant{Jobs: []jobs.ID{{}}, Queues: []string{""}, Tags: []string{""}, Actions: []Action{Watch}}}
	if empty.May(Watch, Target{}) || empty.May(Watch, Target{Job: b, Queue: "q", Tags: []string{"t"}}) {
		t.Error("a token that lists nothing names allows something")
	}
}
