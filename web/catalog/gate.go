package catalog

import (
	"fmt"
	"net/http"
	"strings"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/rest"
)

// Verdict is what the catalogue says about a request to a version.
type Verdict struct {
	Version *Version    // nil if there is none
	Access  *Access     // that lets the caller pass; nil if none is needed
	Owned   bool        // by the caller's team, or it is an admin
	Header  http.Header // for the answer; the caller must not change it
	Hidden  bool        // to the caller there is nothing at this path: 404
	Err     error       // why the request is refused otherwise; nil if it is not
	Reason  string      // for people
}

// Passes reports whether the request may go on.
func (v *Verdict) Passes() bool { return !v.Hidden && v.Err == nil }

// Gate decides about a request of a caller to a version, like orders/v2, of an API of a tenant.
// It reads only memory, without locks.
func (c *Catalog) Gate(tenant, name string, who *auth.Identity) Verdict {
	s := c.now.Load()
	api, version, _ := strings.Cut(name, "/")
	a := s.apis[apiKey{tenant, api}]
	var v *Version
	if a != nil {
		v = a.Version(version)
	}
	if v == nil { // of a route of the file, whose API is not made yet
		if who.Tenant == tenant && isAdmin(who) {
			return Verdict{Reason: name + " is not in the catalogue; admins may call it"}
		}
		return Verdict{Hidden: true, Reason: name + " is not in the catalogue"}
	}
	owned := a.OwnedBy(who)
	switch {
	case !owned && who.Tenant != tenant && a.Visibility != "all":
		return Verdict{Hidden: true, Reason: name + " is for callers of its tenant"}
	case v.State == Draft && !owned:
		return Verdict{Hidden: true, Reason: name + " is a draft, for its team and admins"}
	case v.State == Retired:
		return Verdict{Version: v, Header: v.header, Err: v.refusal, Reason: name + " is retired"}
	case owned:
		return Verdict{Version: v, Owned: true, Header: v.header, Reason: name + " belongs to the caller's team"}
	}
	x := s.access[accessKey{tenant, api, version, who.Tenant, who.Consumer()}]
	switch {
	case x != nil && x.State == Active:
		return Verdict{Version: v, Header: v.header, Access: x, Reason: "the caller has access to " + name}
	case x != nil && x.State == Suspended: // also where everybody else may call
		return c.refused(v, x, who)
	case a.Access == "open":
		return Verdict{Version: v, Header: v.header, Reason: name + " is open"}
	}
	return c.refused(v, x, who)
}

// refused is the verdict for a caller without access.
func (c *Catalog) refused(v *Version, x *Access, who *auth.Identity) Verdict {
	page := c.o.Origin + "/catalog/" + v.FullName()
	ask := fmt.Sprintf(`Ask for it with POST /v1/access {"api":%q,"version":%q}, or at %s.`, v.API.Name, v.Name, page)
	detail := fmt.Sprintf("%s has no access to %s. %s", who.Name, v.FullName(), ask)
	if x != nil {
		switch x.State {
		case Pending:
			detail = fmt.Sprintf("The access of %s to %s waits for the approval of its owner; see /v1/access/%s.", who.Name, v.FullName(), x.ID)
		case Rejected:
			detail = fmt.Sprintf("The access of %s to %s was rejected. Talk to its owner, and ask again with POST /v1/access, or at %s.", who.Name, v.FullName(), page)
		case Suspended:
			detail = fmt.Sprintf("The access of %s to %s is suspended. Talk to its owner; see %s.", who.Name, v.FullName(), page)
		}
	}
	h := v.header.Clone()
	if h == nil {
		h = http.Header{}
	}
	h.Add("Link", "<"+page+`>; rel="help"`)
	return Verdict{Version: v, Header: h, Err: jobs.NewProblem(rest.Forbidden, "Access needed", "%s", detail), Reason: "no access"}
}
