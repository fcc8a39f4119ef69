package pages

import (
	"net/http"
	"slices"

	"jobhub/web/auth"
	"jobhub/web/catalog"
	"jobhub/web/rest"
	"jobhub/web/view"
)

// decisions are what owners do with an access, in the order of their buttons.
var decisions = []struct {
	to         catalog.AccessState
	path, name string
}{{catalog.Active, "approve", "Approve"}, {catalog.Rejected, "reject", "Reject"}, {catalog.Suspended, "suspend", "Suspend"}}

// accessOf is an access with what a caller may do with it.
func (s catalogPages) accessOf(who *auth.Identity, x *catalog.Access) view.Access {
	out := view.Access{ID: x.ID, API: x.API, Version: x.Version, Plan: x.Plan, State: string(x.State), Name: x.Name, Consumer: x.Consumer, Created: x.Created, Decided: x.Decided, DecidedBy: x.DecidedBy}
	if x.CallerTenant != who.Tenant {
		out.Tenant = x.CallerTenant
	}
	if !s.Catalog.Catalog.MayDecide(who, x) {
		return out
	}
	if a, err := s.Catalog.Catalog.API(who, x.API); err == nil {
		out.Plans = s.plansOf(a)
	}
	for _, d := range decisions {
		if x.CanBecome(d.to) {
			out.Decisions = append(out.Decisions, view.Decision{Path: d.path, Name: d.name})
		}
	}
	return out
}

// accessPage is GET /access.
func (s catalogPages) accessPage(w http.ResponseWriter, r *http.Request) error {
	values, err := readOnce(r, "state", "cursor")
	if err != nil {
		return err
	}
	state := catalog.AccessState(values.Get("state"))
	if state != "" && !slices.Contains(catalog.AccessStates, state) {
		return rest.BadParameter("state", "must be pending, active, rejected or suspended")
	}
	who := callerOf(r)
	list, more := s.Catalog.Catalog.Accesses(who, catalog.AccessFilter{State: state, After: values.Get("cursor"), Limit: accessShown})
	m := view.Accesses{State: string(state)}
	for _, x := range list {
		m.List = append(m.List, s.accessOf(who, x))
	}
	if more {
		m.Next = list[len(list)-1].ID
	}
	return s.Page(w, r, http.StatusOK, view.AccessPage(s.Shell(r, s.Hub.Position()), m))
}

// askForm is POST /catalog/{api}/{version}/access.
func (s catalogPages) askForm(w http.ResponseWriter, r *http.Request) error {
	form, err := readFields(w, r, "plan")
	if err != nil {
		return err
	}
	x, _, err := s.Catalog.Catalog.Ask(r.Context(), callerOf(r), r.PathValue("api"), r.PathValue("version"), form.Values["plan"])
	if err == nil {
		return seeOther(w, versionPath(x.API, x.Version))
	}
	if p := rest.ProblemOf(err); p.Status < 500 && p.Status != http.StatusForbidden {
		form.Wrong = p.Title + ": " + faultOf(err)
		return s.showVersion(w, r, p.Status, 0, *form)
	}
	return err
}

// decideForm is POST /access/{id}/approve, /reject and /suspend. It leads back to the page of
// the version if the form was there.
func (s catalogPages) decideForm(to catalog.AccessState) rest.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := readForm(w, r, rest.MaxForm); err != nil {
			return err
		}
		plan := ""
		if to == catalog.Active {
			plan = r.PostForm.Get("plan")
		}
		x, err := s.Catalog.Catalog.Decide(r.Context(), callerOf(r), r.PathValue("id"), to, plan)
		if err != nil {
			return err
		}
		if r.PostForm.Get("page") == "version" {
			return seeOther(w, versionPath(x.API, x.Version))
		}
		return seeOther(w, "/access")
	}
}
