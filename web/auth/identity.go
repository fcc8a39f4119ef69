// Package auth says who a caller is and what it may do.
//
// A caller shows a key (jh_…), which a person made with jobhub keys and which has a role
// in one tenant, or a token (jht_…), which the holder of a key got for a browser and which
// is good for a few jobs, queues or tags and some hours at most. What may be relied on:
//
//   - Keys are random and long (over 250 bits) and nothing but their SHA-256 is stored.
//   - A key that is revoked takes its tokens and sessions with it, within a second, also
//     when another process revokes it, and whoever stays (Watch) is told. A session ends
//     when its holder logs out. Both last over restarts.
//   - Where keys exist, nobody gets in without one; a file of keys that can't be read, or
//     has vanished, lets nobody in.
package auth

import (
	"slices"
	"time"

	"jobhub/jobs"
)

// Role is what a key is for.
type Role string

const (
	Admin     Role = "admin"     // all
	Operator  Role = "operator"  // all but the keys and the hub itself
	Submitter Role = "submitter" // submits, watches and cancels jobs
	Worker    Role = "worker"    // runs jobs, and watches
	Viewer    Role = "viewer"    // watches
	Monitor   Role = "monitor"   // reads /metrics and the details of /readyz
)

// Action is what a caller wants to do.
type Action string

const (
	Watch      Action = "watch"      // read and follow jobs, queues and workers
	Submit     Action = "submit"     // hand in jobs, also once more
	Cancel     Action = "cancel"     // cancel jobs
	Work       Action = "work"       // the worker protocol
	Operate    Action = "operate"    // change queues, direct workers
	Measure    Action = "measure"    // read /metrics and the details of /readyz
	Administer Action = "administer" // keys, and what shows the hub from inside
)

// Roles are all roles with what they may do.
var Roles = map[Role][]Action{
	Admin:     {Watch, Submit, Cancel, Work, Operate, Measure, Administer},
	Operator:  {Watch, Submit, Cancel, Work, Operate},
	Submitter: {Watch, Submit, Cancel},
	Worker:    {Watch, Work},
	Viewer:    {Watch},
	Monitor:   {Measure},
}

// RoleNames are the names of all roles, the most powerful first.
func RoleNames() []string {
	return []string{string(Admin), string(Operator), string(Submitter), string(Worker), string(Viewer), string(Monitor)}
}

// Target is what an action is about: a job with its queue and tags, or what a
// subscription or list selects by. The zero Target is everything the tenant has, and so
// is a selection by kind.
type Target struct {
	Job   jobs.ID
	Queue string
	Tags  []string
}

// Identity is a caller: a key, or a token that a key issued.
type Identity struct {
	Tenant  string
	Role    Role      // of a key
	Name    string    // of the key
	Key     string    // its id; empty where no keys are configured
	Session string    // of the dashboard: its id; else empty
	Grant   *Grant    // of a token; nil for a key
	Expires time.Time // zero for never
}

// Local is everybody while no keys are configured.
var Local = Identity{Tenant: jobs.DefaultTenant, Role: Admin, Name: "local"}

// May reports whether the caller may do something with a target in its tenant.
func (i Identity) May(a Action, on Target) bool {
	if i.Grant != nil {
		return i.Grant.allows(a, on)
	}
	return slices.Contains(Roles[i.Role], a)
}

// Grant is what a token is good for: these actions, with the jobs that are listed or
// are in a listed queue or have a listed tag.
type Grant struct {
	Jobs    []jobs.ID `json:"jobs,omitzero"`
	Queues  []string  `json:"queues,omitzero"`
	Tags    []string  `json:"tags,omitzero"`
	Actions []Action  `json:"actions"`
}

// Grantable are the actions that a token can be good for.
var Grantable = []Action{Watch, Cancel}

func (g *Grant) allows(a Action, on Target) bool {
	if !slices.Contains(g.Actions, a) || !slices.Contains(Grantable, a) {
		return false
	}
	return on.Job != (jobs.ID{}) && slices.Contains(g.Jobs, on.Job) ||
		on.Queue != "" && slices.Contains(g.Queues, on.Queue) ||
		slices.ContainsFunc(on.Tags, func(tag string) bool { return slices.Contains(g.Tags, tag) })
}
