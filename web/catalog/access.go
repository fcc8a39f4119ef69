package catalog

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/rest"
)

// idOf returns the id of an access. It follows from who asks for what, so that asking twice
// gives one.
func (k accessKey) id() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{k.tenant, k.api, k.version, k.callerTenant, k.consumer}, "\x00")))
	return "acc_" + hex.EncodeToString(sum[:12])
}

func noAccess(id string) error {
	return jobs.NewProblem(jobs.NotFound, "Not found", "There is no access %s.", id)
}

// MayAsk reports whether a caller could use an access.
func MayAsk(who *auth.Identity) bool {
	if who.Grant != nil || who.Subject == auth.Anonymous.Subject {
		return false
	}
	return who.Subject != "" || who.May(auth.Submit, auth.Target{})
}

// Ask asks for access to a version in the name of a caller. made says whether it is new; asking
// again returns what is there. Who was rejected asks anew.
func (c *Catalog) Ask(ctx context.Context, who *auth.Identity, api, version, plan string) (x *Access, made bool, err error) {
	if !MayAsk(who) {
		return nil, false, rest.NotAllowed(*who, auth.Submit)
	}
	if plan != "" && (c.o.HasPlan == nil || !c.o.HasPlan(plan)) {
		return nil, false, jobs.Invalid("/plan", "is not a plan of this hub")
	}
	err = c.edit(ctx, func(s *snapshot) ([]change, error) {
		a := s.find(who.Tenant, api)
		if a == nil || !a.VisibleTo(who) {
			return nil, jobs.Invalid("/api", "is not an API of the catalogue")
		}
		v := a.Version(version)
		switch {
		case v == nil || !v.VisibleTo(who):
			return nil, jobs.Invalid("/version", "is not a version of %s", a.Name)
		case v.State == Retired:
			return nil, v.refusal
		case v.State == Draft:
			return nil, jobs.NewProblem(jobs.Conflict, "Draft", "%s is a draft. Its team may call it; others can ask when it is published.", v.FullName())
		}
		now := c.o.Now().UTC().Truncate(time.Millisecond)
		key := accessKey{a.Tenant, a.Name, v.Name, who.Tenant, who.Consumer()}
		old := s.access[key]
		next := &Access{Tenant: a.Tenant, ID: key.id(), API: a.Name, Version: v.Name, Plan: plan, State: Pending, CallerTenant: who.Tenant, Consumer: who.Consumer(), Name: who.Name, Created: now}
		switch {
		case old == nil:
			all, own := s.countAccess(a.Tenant, who)
			if all >= rest.MaxAccess || own >= rest.MaxAccessOfOne {
				return nil, jobs.NewProblem(jobs.LimitExceeded, "Too many requests for access", "There are too many requests for access to APIs of this tenant, or of your key.")
			}
			// Approval by itself gives only what the owner has offered.
			if a.Approval == "auto" && (plan == "" || slices.Contains(a.Plans, plan)) {
				next.State, next.Decided = Active, now
				if plan == "" && len(a.Plans) > 0 {
					next.Plan = a.Plans[0]
				}
			}
		case old.State == Rejected || old.State == Pending && plan != "" && plan != old.Plan:
			next.Created = old.Created
		case plan != "" && plan != old.Plan:
			return nil, jobs.NewProblem(jobs.Conflict, "Other plan", "The access %s is %s with %s. The owner of the API can change that: approve takes a plan.", old.ID, old.State, planText(old.Plan))
		default:
			x, made = old, false
			return nil, nil
		}
		x, made = next, old == nil
		ch, err := old.change(next)
		return []change{ch}, err
	})
	return x, made, err
}

func planText(plan string) string {
	if plan == "" {
		return "no plan"
	}
	return "the plan " + plan
}

func (s *snapshot) countAccess(tenant string, who *auth.Identity) (all, own int) {
	for key := range s.access {
		if key.tenant == tenant {
			all++
		}
		if key.callerTenant == who.Tenant && key.consumer == who.Consumer() {
			own++
		}
	}
	return all, own
}

// sees reports whether a caller may see an access: its own, those of its tenant as an admin, and
// those to the APIs of its team.
func (s *snapshot) sees(who *auth.Identity, x *Access) bool {
	if x.CallerTenant == who.Tenant && (x.Consumer == who.Consumer() || isAdmin(who)) {
		return true
	}
	a := s.apis[apiKey{x.Tenant, x.API}]
	return a != nil && a.OwnedBy(who)
}

// access returns an access by its id, if a caller may see it.
func (s *snapshot) accessOf(who *auth.Identity, id string) *Access {
	if x := s.byID[who.Tenant+"/"+id]; x != nil && s.sees(who, x) {
		return x
	}
	for _, x := range s.byID { // to an API of another tenant
		if x.ID == id && s.sees(who, x) {
			return x
		}
	}
	return nil
}

// AccessByID returns an access that a caller may see.
func (c *Catalog) AccessByID(who *auth.Identity, id string) (*Access, error) {
	if x := c.now.Load().accessOf(who, id); x != nil {
		return x, nil
	}
	return nil, noAccess(id)
}

// Decide changes the state of an access: to Active with approve, Rejected or Suspended. plan
// replaces that of the access if it is not empty.
func (c *Catalog) Decide(ctx context.Context, who *auth.Identity, id string, to AccessState, plan string) (x *Access, err error) {
	if plan != "" && (c.o.HasPlan == nil || !c.o.HasPlan(plan)) {
		return nil, jobs.Invalid("/plan", "is not a plan of this hub")
	}
	err = c.edit(ctx, func(s *snapshot) ([]change, error) {
		old := s.accessOf(who, id)
		if old == nil {
			return nil, noAccess(id)
		}
		a := s.apis[apiKey{old.Tenant, old.API}]
		if a == nil {
			return nil, noAccess(id)
		}
		if !a.ManagedBy(who) {
			return nil, notOwner(a, who)
		}
		if !slices.Contains(decisions[to], old.State) {
			return nil, jobs.NewProblem(jobs.Conflict, "Wrong state", "The access is %s. It can become %s only if it is %s.", old.State, to, words(decisions[to]))
		}
		if old.State == to && (plan == "" || plan == old.Plan) {
			x = old
			return nil, nil
		}
		copied := *old
		x = &copied
		x.State, x.Plan, x.Decided, x.DecidedBy = to, cmp.Or(plan, old.Plan), c.o.Now().UTC().Truncate(time.Millisecond), who.Name
		ch, err := old.change(x)
		return []change{ch}, err
	})
	return x, err
}

// AccessFilter says which accesses to list; empty members select all.
type AccessFilter struct {
	API, Version string
	State        AccessState
	After        string // an id; those behind it
	Limit        int    // 0 for all
}

// CanBecome reports whether a decision can change the state of an access.
func (x *Access) CanBecome(to AccessState) bool {
	return x.State != to && slices.Contains(decisions[to], x.State)
}

// MayDecide reports whether a caller may decide on an access.
func (c *Catalog) MayDecide(who *auth.Identity, x *Access) bool {
	a := c.now.Load().apis[apiKey{x.Tenant, x.API}]
	return a != nil && a.ManagedBy(who)
}

// Accesses returns what a caller may see, the newest first. more says that there are others
// behind.
func (c *Catalog) Accesses(who *auth.Identity, f AccessFilter) (list []*Access, more bool) {
	s := c.now.Load()
	for _, x := range s.access {
		if (f.API == "" || x.API == f.API) && (f.Version == "" || x.Version == f.Version) && (f.State == "" || x.State == f.State) && s.sees(who, x) {
			list = append(list, x)
		}
	}
	slices.SortFunc(list, func(x, y *Access) int {
		return cmp.Or(y.Created.Compare(x.Created), cmp.Compare(x.ID, y.ID), cmp.Compare(x.Tenant, y.Tenant))
	})
	if f.After != "" {
		if i := slices.IndexFunc(list, func(x *Access) bool { return x.ID == f.After }); i >= 0 {
			list = list[i+1:]
		} else {
			list = nil // it is no longer there, or no longer selected
		}
	}
	if f.Limit > 0 && len(list) > f.Limit {
		return list[:f.Limit], true
	}
	return list, false
}

// ScopesOf returns the scopes that an access gives.
func (c *Catalog) ScopesOf(x *Access) []string {
	if a := c.now.Load().apis[apiKey{x.Tenant, x.API}]; a != nil {
		if v := a.Version(x.Version); v != nil {
			return v.scopes
		}
	}
	return nil
}
