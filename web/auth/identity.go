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
//   - When the rights of a key change, the next request has the new ones, and open connections
//     are told within a second, to come back with them. Its tokens allow no more than it may.
//   - If keys exist, every caller needs one. If the file of keys can't be read or is gone,
//     all callers are refused.
package auth

import (
	"slices"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/web/limit"
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
	Publish    Action = "publish"    // change the APIs of the catalogue, and decide who may use them
	SeeUsage   Action = "see usage"  // of all consumers of the tenant; each may see its own
	Measure    Action = "measure"    // read /metrics and the details of /readyz
	Administer Action = "administer" // keys, and what concerns the whole hub
)

// Roles has the actions that each role allows.
var Roles = map[Role][]Action{
	Admin:     {Watch, Submit, Cancel, Work, Operate, Publish, SeeUsage, Measure, Administer},
	Operator:  {Watch, Submit, Cancel, Work, Operate, Publish, SeeUsage},
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
	Job    jobs.ID
	Queue  string
	Tags   []string
	Caller string // who made the job, as Identity.Caller; empty if unknown
}

// Identity is a caller: a key, a token that a key issued, or the subject of a credential that
// somebody else issued.
type Identity struct {
	Tenant  string
	Role    Role      // of a key; empty for others
	Name    string    // of the key or subject, for people
	Key     string    // the id of the key; empty if no keys are configured
	Subject string    // of a caller without a key, with the kind and name of its issuer, like jwt:corp:alice; else empty
	Session string    // id of the dashboard's session; else empty
	Grant   *Grant    // of a token; nil for others
	Expires time.Time // zero for never

	Team   string         // to which the key belongs; empty for none
	Scopes []string       // what it may do on routes; see the scopes of a route
	Plan   string         // whose limits it has; empty for none
	Limits *limit.RuleSet // its own, besides those of the plan; nil for none

	Claims map[string]jobs.Value // of a token of another issuer, as they stand in it

	revision int // of the key
}

// Anonymous is the identity of a caller without credentials, on routes that are open to
// everybody.
var Anonymous = Identity{Tenant: jobs.DefaultTenant, Name: "anonymous", Subject: "anonymous"}

// Consumer names the caller in limits, logs and usage: the id of its key, or its subject.
func (i Identity) Consumer() string {
	switch {
	case i.Key != "":
		return i.Key
	case i.Subject != "":
		return i.Subject
	}
	return i.Name
}

// Method returns how the caller has identified itself, in the words of a route's auth: key,
// none, or jwt: and the name of the issuer.
func (i Identity) Method() string {
	kind, rest, _ := strings.Cut(i.Subject, ":")
	switch kind {
	case "":
		return "key"
	case "anonymous":
		return "none"
	}
	issuer, _, _ := strings.Cut(rest, ":")
	return kind + ":" + issuer
}

// MissingScope returns the first of some scopes that the caller does not have; empty if it has
// all. While no keys are configured, every caller has all scopes.
func (i Identity) MissingScope(scopes []string) string {
	if i.Key == "" && i.Subject == "" {
		return ""
	}
	for _, scope := range scopes {
		if !slices.Contains(i.Scopes, scope) {
			return scope
		}
	}
	return ""
}

// Local is the identity of all callers while no keys are configured.
var Local = Identity{Tenant: jobs.DefaultTenant, Role: Admin, Name: "local"}

// May reports whether the caller may do an action on a target in its tenant. A caller without
// a key may watch and cancel the jobs that it has made.
func (i Identity) May(a Action, on Target) bool {
	switch {
	case i.Grant != nil:
		return i.Grant.allows(a, on)
	case i.Subject != "":
		return slices.Contains(Grantable, a) && on.Caller != "" && on.Caller == i.Caller()
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
