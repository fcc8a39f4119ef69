// Package auth authenticates callers and says what they may do.
//
// A caller sends a key (jh_…), which was made with jobhub keys and has a role in one tenant, or
// a token (jht_…), which the holder of a key got for a browser and which is valid for some
// jobs, queues or tags and for 24 hours at most. What may be relied on:
//
//   - Keys are random and have over 250 bits. Only their SHA-256 is stored.
//   - When a key is revoked, also by another process, its tokens and sessions become invalid
//     within a second, and open connections (Watch) are told. A session ends when its holder
//     logs out. Both survive restarts.
//   - If keys exist, every caller needs one. If the file of keys can't be read or is gone,
//     all callers are refused.
package auth

import (
	"slices"
	"time"

	"jobhub/jobs"
)

// Role is the role of a key; see Roles.
type Role string

const (
	Admin     Role = "admin"     // everything
	Operator  Role = "operator"  // everything but keys and the hub itself
	Submitter Role = "submitter" // submits, watches and cancels jobs
	Worker    Role = "worker"    // runs jobs, and watches
	Viewer    Role = "viewer"    // watches
	Monitor   Role = "monitor"   // reads /metrics and the details of /readyz
)

// Action is what a caller wants to do.
type Action string

const (
	Watch      Action = "watch"      // read and follow jobs, queues and workers
	Submit     Action = "submit"     // submit jobs and retry them
	Cancel     Action = "cancel"     // cancel jobs
	Work       Action = "work"       // the worker protocol
	Operate    Action = "operate"    // change queues, direct workers
	Measure    Action = "measure"    // read /metrics and the details of /readyz
	Administer Action = "administer" // keys, and what concerns the whole hub
)

// Roles has the actions that each role allows.
var Roles = map[Role][]Action{
	Admin:     {Watch, Submit, Cancel, Work, Operate, Measure, Administer},
	Operator:  {Watch, Submit, Cancel, Work, Operate},
	Submitter: {Watch, Submit, Cancel},
	Worker:    {Watch, Work},
	Viewer:    {Watch},
	Monitor:   {Measure},
}

// RoleNames returns the names of all roles, the most powerful first.
func RoleNames() []string {
	return []string{string(Admin), string(Operator), string(Submitter), string(Worker), string(Viewer), string(Monitor)}
}

// Target is what an action is on: a job with its queue and tags, or what a subscription or list
// selects by. The zero Target is everything in the tenant.
type Target struct {
	Job   jobs.ID
	Queue string
	Tags  []string
}

// Identity is a caller: a key, or a token that a key issued.
type Identity struct {
	Tenant  string
	Role    Role      // of a key; empty for a token
	Name    string    // of the key
	Key     string    // the id of the key; empty if no keys are configured
	Session string    // id of the dashboard's session; else empty
	Grant   *Grant    // of a token; nil for a key
	Expires time.Time // zero for never
}

// Local is the identity of all callers while no keys are configured.
var Local = Identity{Tenant: jobs.DefaultTenant, Role: Admin, Name: "local"}

// May reports whether the caller may do an action on a target in its tenant.
func (i Identity) May(a Action, on Target) bool {
	if i.Grant != nil {
		return i.Grant.allows(a, on)
	}
	return slices.Contains(Roles[i.Role], a)
}

// Grant is what a token allows: these actions on jobs that are listed, are in a listed queue or
// have a listed tag.
type Grant struct {
	Jobs    []jobs.ID `json:"jobs,omitzero"`
	Queues  []string  `json:"queues,omitzero"`
	Tags    []string  `json:"tags,omitzero"`
	Actions []Action  `json:"actions"`
}

// Grantable are the actions that a token can allow.
var Grantable = []Action{Watch, Cancel}

func (g *Grant) allows(a Action, on Target) bool {
	if !slices.Contains(g.Actions, a) || !slices.Contains(Grantable, a) {
		return false
	}
	return on.Job != (jobs.ID{}) && slices.Contains(g.Jobs, on.Job) ||
		on.Queue != "" && slices.Contains(g.Queues, on.Queue) ||
		slices.ContainsFunc(on.Tags, func(tag string) bool { return slices.Contains(g.Tags, tag) })
}
