package pages

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"unicode/utf8"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/catalog"
	"jobhub/web/rest"
	"jobhub/web/view"
)

const (
	apisShown   = 50
	accessShown = 50
)

func callerOf(r *http.Request) *auth.Identity {
	who := rest.IdentityOf(r)
	return &who
}

// readOnce reads a query whose parameters are given once at most, and are short.
func readOnce(r *http.Request, allowed ...string) (url.Values, error) {
	values, err := rest.ReadQuery(r, allowed...)
	if err != nil {
		return nil, err
	}
	for name, all := range values {
		if len(all) != 1 {
			return nil, rest.BadParameter(name, "is given more than once")
		}
		if len(all[0]) > rest.MaxSearchText || !utf8.ValidString(all[0]) {
			return nil, rest.BadParameter(name, "must be up to 256 bytes of UTF-8")
		}
	}
	return values, nil
}

// catalogPage is GET /catalog.
func (s catalogPages) catalogPage(w http.ResponseWriter, r *http.Request) error {
	values, err := readOnce(r, "q", "team", "tag", "state", "cursor")
	if err != nil {
		return err
	}
	q := view.CatalogQuery{Text: values.Get("q"), Team: values.Get("team"), Tag: values.Get("tag"), State: values.Get("state"), Cursor: values.Get("cursor")}
	switch {
	case q.State != "" && !slices.Contains(catalog.States, catalog.State(q.State)):
		return rest.BadParameter("state", "must be draft, published, deprecated or retired")
	case q.Cursor != "" && !jobs.WellFormedName(q.Cursor):
		return rest.BadParameter("cursor", "must be that of a page")
	}
	who := callerOf(r)
	list, more := s.Catalog.Catalog.APIs(who, catalog.APIFilter{Text: q.Text, Team: q.Team, Tag: q.Tag, State: catalog.State(q.State), After: q.Cursor, Limit: apisShown})
	m := view.Catalog{Origin: s.Origin, Query: q}
	for _, a := range list {
		m.APIs = append(m.APIs, apiOf(who, a))
	}
	if more {
		m.Next = list[len(list)-1].Name
	}
	m.Teams, m.Tags = s.words(who)
	pending, _ := s.Catalog.Catalog.Accesses(who, catalog.AccessFilter{State: catalog.Pending})
	for _, x := range pending {
		if s.Catalog.Catalog.MayDecide(who, x) {
			m.Pending++
		}
	}
	return s.Page(w, r, http.StatusOK, view.CatalogPage(s.Shell(r, s.Hub.Position()), m))
}

// words are the teams and tags of all APIs that a caller may see.
func (s catalogPages) words(who *auth.Identity) (teams, tags []string) {
	all, _ := s.Catalog.Catalog.APIs(who, catalog.APIFilter{})
	byTeam, byTag := map[string]bool{}, map[string]bool{}
	for _, a := range all {
		if a.Team != "" {
			byTeam[a.Team] = true
		}
		for _, tag := range a.Tags {
			byTag[tag] = true
		}
	}
	return slices.Sorted(maps.Keys(byTeam)), slices.Sorted(maps.Keys(byTag))
}

// apiOf is what a caller may see of an API.
func apiOf(who *auth.Identity, a *catalog.API) view.CatalogAPI {
	out := view.CatalogAPI{Name: a.Name, Title: a.Title, Description: a.Description, Team: a.Team, Tags: a.Tags, Open: a.Access == "open"}
	for _, v := range a.Versions {
		if v.VisibleTo(who) {
			out.Versions = append(out.Versions, versionOf(v))
		}
	}
	return out
}

func versionOf(v *catalog.Version) view.CatalogVersion {
	return view.CatalogVersion{Name: v.Name, State: string(v.State), Published: v.Published, Deprecated: v.Deprecated, Sunset: v.Sunset, Retired: v.Retired, Successor: v.Successor, Mock: v.Mock}
}

// apiPage is GET /catalog/{api}: it leads to the newest version, the published one if there is
// one.
func (s catalogPages) apiPage(w http.ResponseWriter, r *http.Request) error {
	who := callerOf(r)
	a, err := s.Catalog.Catalog.API(who, r.PathValue("api"))
	if err != nil {
		return err
	}
	var newest *catalog.Version
	for _, v := range a.Versions {
		if v.VisibleTo(who) && (newest == nil || v.State == catalog.Published || newest.State != catalog.Published) {
			newest = v
		}
	}
	if newest == nil {
		return seeOther(w, "/catalog?q="+url.QueryEscape(a.Name))
	}
	return seeOther(w, versionPath(newest.API.Name, newest.Name))
}

func versionPath(api, version string) string { return "/catalog/" + api + "/" + version }

// versionPage is GET /catalog/{api}/{version}.
func (s catalogPages) versionPage(w http.ResponseWriter, r *http.Request) error {
	values, err := readOnce(r, "from")
	if err != nil {
		return err
	}
	from := 0
	if text := values.Get("from"); text != "" {
		if from, err = strconv.Atoi(text); err != nil || from < 0 {
			return rest.BadParameter("from", "must be a number of operations")
		}
	}
	return s.showVersion(w, r, http.StatusOK, from, view.Form{})
}

func (s catalogPages) showVersion(w http.ResponseWriter, r *http.Request, status, from int, form view.Form) error {
	who := callerOf(r)
	v, err := s.Catalog.Catalog.Version(who, r.PathValue("api"), r.PathValue("version"))
	if err != nil {
		return err
	}
	m := view.APIVersion{API: apiOf(who, v.API), It: versionOf(v), Server: s.Catalog.Catalog.ServerURL(v), Scopes: v.Scopes(), Plans: s.plansOf(v.API), MayAsk: catalog.MayAsk(who),
		Owner: v.API.OwnedBy(who), From: from}
	if doc, err := v.Document(); err != nil {
		m.Wrong = rest.ProblemOf(err).Detail
	} else {
		describe(r.Context(), &m, doc)
	}
	list, _ := s.Catalog.Catalog.Accesses(who, catalog.AccessFilter{API: v.API.Name, Version: v.Name})
	for _, x := range list {
		switch {
		case x.Tenant != v.API.Tenant: // another API of this name
			continue
		case x.CallerTenant == who.Tenant && x.Consumer == who.Consumer():
			own := s.accessOf(who, x)
			m.Own = &own
		}
		if m.More = len(m.Callers) == accessShown; m.Owner && !m.More {
			m.Callers = append(m.Callers, s.accessOf(who, x))
		}
	}
	return s.Page(w, r, status, view.APIVersionPage(s.Shell(r, s.Hub.Position()), m, form))
}

// plansOf are the plans that an API offers, or all of the hub.
func (s catalogPages) plansOf(a *catalog.API) []string {
	if len(a.Plans) > 0 {
		return a.Plans
	}
	return slices.Sorted(maps.Keys(s.Settings().Plans))
}
