package catalog

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/rest"
)

// APIMembers are the members of an API that are given to make or change one.
type APIMembers struct {
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Team        string   `json:"team"` // that of the caller, or as it was, if empty
	Tags        []string `json:"tags"`
	Visibility  string   `json:"visibility"`
	Access      string   `json:"access"`
	Approval    string   `json:"approval"`
	Plans       []string `json:"plans"`
}

// noAPI is the answer for an API that is not there, or that the caller may not see.
func noAPI(name string) error {
	return jobs.NewProblem(jobs.NotFound, "Not found", "There is no API %s.", name)
}

func noVersion(api, version string) error {
	return jobs.NewProblem(jobs.NotFound, "Not found", "There is no version %s of the API %s.", version, api)
}

// notOwner is the answer to a caller that may see an API but not change it.
func notOwner(a *API, who *auth.Identity) error {
	switch {
	case who.Tenant == a.Tenant && a.OwnedBy(who):
		return rest.NotAllowed(*who, auth.Publish)
	case who.Tenant == a.Tenant && a.Team != "":
		return jobs.NewProblem(rest.Forbidden, "Not allowed", "The API %s belongs to the team %s. Only its keys with the role admin or operator, and admins, may do this.", a.Name, a.Team)
	}
	return jobs.NewProblem(rest.Forbidden, "Not allowed", "The API %s belongs to others; only they may do this.", a.Name)
}

// API returns the API that a caller means by a name.
func (c *Catalog) API(who *auth.Identity, name string) (*API, error) {
	a := c.now.Load().find(who.Tenant, name)
	if a == nil || !a.VisibleTo(who) {
		return nil, noAPI(name)
	}
	return a, nil
}

// managed returns the API of a name that a caller may change.
func (s *snapshot) managed(who *auth.Identity, name string) (*API, error) {
	a := s.find(who.Tenant, name)
	switch {
	case a == nil || !a.VisibleTo(who):
		return nil, noAPI(name)
	case !a.ManagedBy(who):
		return nil, notOwner(a, who)
	}
	return a, nil
}

// PutAPI makes an API in the tenant of a caller, or changes it. made says whether it is new.
func (c *Catalog) PutAPI(ctx context.Context, who *auth.Identity, name string, in APIMembers) (a *API, made bool, err error) {
	if !jobs.WellFormedName(name) {
		return nil, false, jobs.NewProblem(jobs.NotFound, "Not found", "There is no API %s; a name is "+jobs.NameRule+".", name)
	}
	if !mayPublish(who) {
		return nil, false, rest.NotAllowed(*who, auth.Publish)
	}
	if err := in.check(c.o.HasPlan); err != nil {
		return nil, false, err
	}
	err = c.edit(ctx, func(s *snapshot) ([]change, error) {
		old := s.apis[apiKey{who.Tenant, name}]
		if old != nil && !old.ManagedBy(who) {
			return nil, notOwner(old, who)
		}
		now := c.o.Now().UTC().Truncate(time.Millisecond)
		next := &API{Tenant: who.Tenant, Name: name, Title: cmp.Or(in.Title, name), Description: in.Description, Team: cmp.Or(in.Team, who.Team), Tags: in.Tags,
			Visibility: cmp.Or(in.Visibility, Visibilities[0]), Access: cmp.Or(in.Access, Accesses[0]), Approval: cmp.Or(in.Approval, Approvals[0]), Plans: in.Plans, Created: now, Updated: now}
		if made = old == nil; !made {
			next.Created, next.Team = old.Created, cmp.Or(in.Team, old.Team)
		}
		if !isAdmin(who) && next.Team != who.Team {
			return nil, jobs.Invalid("/team", "must be %s, the team of your key; only admins may give an API to another team", who.Team)
		}
		if !isAdmin(who) && who.Team == "" {
			return nil, jobs.NewProblem(rest.Forbidden, "No team", "Your key belongs to no team, so it can own no API. Ask an admin for a key with a team.")
		}
		if other := s.public[name]; next.Visibility == "all" && other != nil && other.Tenant != who.Tenant {
			return nil, jobs.NewProblem(jobs.Conflict, "Name in use", "There is another API %s that all tenants see. Choose another name, or the visibility tenant.", name)
		}
		if made && s.countAPIs(who.Tenant) >= rest.MaxAPIs {
			return nil, tooMany("APIs", rest.MaxAPIs)
		}
		ch, err := old.change(next)
		a = next
		return []change{ch}, err
	})
	if err != nil {
		return nil, false, err
	}
	return c.now.Load().fresh(a), made, nil
}

// fresh returns an API as it is now; the one given if it is gone.
func (s *snapshot) fresh(a *API) *API { return cmp.Or(s.apis[apiKey{a.Tenant, a.Name}], a) }

func tooMany(what string, most int) error {
	p := jobs.NewProblem(jobs.LimitExceeded, "Too many "+what, "There are %d %s, which is the most. Delete some first.", most, what)
	p.Status = 422
	return p
}

func (s *snapshot) countAPIs(tenant string) (n int) {
	for key := range s.apis {
		if key.tenant == tenant {
			n++
		}
	}
	return n
}

// check checks all members.
func (in *APIMembers) check(hasPlan func(string) bool) error {
	var errs []error
	wrong := func(pointer, format string, args ...any) { errs = append(errs, jobs.Invalid(pointer, format, args...)) }
	oneLine := func(text string, most int) bool {
		return len(text) <= most && utf8.ValidString(text) && !strings.ContainsFunc(text, hidden)
	}
	if !oneLine(in.Title, 200) {
		wrong("/title", "must be a line of up to 200 bytes")
	}
	if len(in.Description) > rest.MaxAPIText {
		wrong("/description", "must be up to %s", jobs.SizeText(rest.MaxAPIText))
	}
	if in.Team != "" && !jobs.WellFormedName(in.Team) {
		wrong("/team", "must be "+jobs.NameRule)
	}
	for pointer, list := range map[string][]string{"/tags": in.Tags, "/plans": in.Plans} {
		if len(list) > rest.MaxAPIWords {
			wrong(pointer, "must be up to %d texts", rest.MaxAPIWords)
		}
		for i, text := range list {
			at := pointer + "/" + itoa(i)
			switch {
			case slices.Index(list, text) < i:
				wrong(at, "is there twice; keep one")
			case pointer == "/tags" && (!jobs.WellFormedTag(text) || !oneLine(text, jobs.MaxTag)):
				wrong(at, "must be up to %d bytes of text without control characters", jobs.MaxTag)
			case pointer == "/plans" && (hasPlan == nil || !hasPlan(text)):
				wrong(at, "is not a plan of this hub; the configuration file has them below plans")
			}
		}
	}
	for _, m := range []struct {
		pointer, value string
		words          []string
	}{{"/visibility", in.Visibility, Visibilities}, {"/access", in.Access, Accesses}, {"/approval", in.Approval, Approvals}} {
		if m.value != "" && !slices.Contains(m.words, m.value) {
			wrong(m.pointer, "must be one of %s", strings.Join(m.words, ", "))
		}
	}
	return jobs.JoinProblems(errs...)
}

// hidden reports whether a character can't be seen, or changes how others are seen.
func hidden(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }

// DeleteAPI deletes an API without published or deprecated versions, and all that belongs to it.
func (c *Catalog) DeleteAPI(ctx context.Context, who *auth.Identity, name string) error {
	return c.edit(ctx, func(s *snapshot) ([]change, error) {
		a, err := s.managed(who, name)
		if err != nil {
			return nil, err
		}
		var all []change // the API itself last, so that nothing is ever without one
		for _, v := range a.Versions {
			if v.State == Published || v.State == Deprecated {
				return nil, jobs.NewProblem(jobs.Conflict, "In use", "The version %s is %s. Retire it first.", v.FullName(), v.State)
			}
			all = append(all, deletion(a.Tenant, kindVersion, v.FullName(), v.stored))
		}
		for _, x := range s.access {
			if x.Tenant == a.Tenant && x.API == a.Name {
				all = append(all, deletion(x.Tenant, kindAccess, x.ID, x.stored))
			}
		}
		return append(all, deletion(a.Tenant, kindAPI, a.Name, a.stored)), nil
	})
}

// APIFilter says which APIs to list; empty members select all.
type APIFilter struct {
	Text, Team, Tag string
	State           State
	After           string // a name; those behind it
	Limit           int    // 0 for all
}

// APIs returns the APIs that a caller may see, by name. more says that there are others behind.
func (c *Catalog) APIs(who *auth.Identity, f APIFilter) (list []*API, more bool) {
	s := c.now.Load()
	text := strings.ToLower(f.Text)
	add := func(a *API) {
		if a.Name > f.After && a.VisibleTo(who) && f.takes(a, who, text) {
			list = append(list, a)
		}
	}
	for key, a := range s.apis {
		if key.tenant == who.Tenant {
			add(a)
		}
	}
	for name, a := range s.public {
		if s.find(who.Tenant, name) == a && a.Tenant != who.Tenant {
			add(a)
		}
	}
	slices.SortFunc(list, func(a, b *API) int { return cmp.Compare(a.Name, b.Name) })
	if f.Limit > 0 && len(list) > f.Limit {
		return list[:f.Limit], true
	}
	return list, false
}

func (f *APIFilter) takes(a *API, who *auth.Identity, text string) bool {
	if f.Team != "" && f.Team != a.Team || f.Tag != "" && !slices.Contains(a.Tags, f.Tag) {
		return false
	}
	if f.State != "" && !slices.ContainsFunc(a.Versions, func(v *Version) bool { return v.State == f.State && v.VisibleTo(who) }) {
		return false
	}
	return text == "" || strings.Contains(strings.ToLower(strings.Join(append([]string{a.Name, a.Title, a.Description, a.Team}, a.Tags...), "\n")), text)
}
