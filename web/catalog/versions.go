package catalog

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/gateway/openapi"
	"jobhub/web/rest"
)

func itoa(n int) string { return strconv.Itoa(n) }

// VersionMembers are the members of a version that are given to make or change one.
type VersionMembers struct {
	OpenAPI jobs.Value `json:"openapi"` // the document, or a text that holds it as JSON or YAML
	Routes  jobs.Value `json:"routes"`
	Mock    bool       `json:"mock"`
	Base    string     `json:"base"`
}

// MoveMembers are what a change of state carries.
type MoveMembers struct {
	Sunset    time.Time // of a deprecated version; zero if it is not known
	Successor string    // another version of the API; empty for none
}

// Version returns a version that a caller may see.
func (c *Catalog) Version(who *auth.Identity, api, version string) (*Version, error) {
	a, err := c.API(who, api)
	if err != nil {
		return nil, err
	}
	v := a.Version(version)
	if v == nil || !v.VisibleTo(who) {
		return nil, noVersion(api, version)
	}
	return v, nil
}

// document parses the document of a version.
func (in *VersionMembers) document() (text string, doc *openapi.Document, err error) {
	text = string(in.OpenAPI)
	if in.OpenAPI.Kind() == '"' {
		if err := json.Unmarshal(in.OpenAPI, &text); err != nil {
			return "", nil, jobs.Invalid("/openapi", "is not a valid text")
		}
	}
	switch {
	case text == "":
		return "", nil, jobs.Invalid("/openapi", "is required: an OpenAPI document")
	case len(text) > rest.MaxOpenAPI:
		return "", nil, tooLargeDocument()
	}
	doc, err = openapi.Parse([]byte(text))
	return text, doc, jobs.ErrorUnder("/openapi", err)
}

func tooLargeDocument() error {
	return jobs.NewProblem(jobs.TooLarge, "Document too large", "An OpenAPI document may have %s.", jobs.SizeText(rest.MaxOpenAPI))
}

// PutVersion makes a version, or changes one that is not retired. Callers of a published or
// deprecated one must not break. made says whether it is new.
func (c *Catalog) PutVersion(ctx context.Context, who *auth.Identity, api, version string, in VersionMembers) (v *Version, made bool, err error) {
	if _, err := c.now.Load().managed(who, api); err != nil {
		return nil, false, err
	}
	if !jobs.WellFormedName(version) {
		return nil, false, jobs.NewProblem(jobs.NotFound, "Not found", "There is no version %s; a name is "+jobs.NameRule+".", version)
	}
	text, doc, err := in.document()
	if err != nil {
		return nil, false, err
	}
	if in.Base != "" && (!strings.HasPrefix(in.Base, "/") || strings.HasSuffix(in.Base, "/") || len(in.Base) > 256 || strings.ContainsAny(in.Base, "?#% ")) {
		return nil, false, jobs.Invalid("/base", "must be a path that begins with a slash and ends without one, like /api/orders")
	}
	if in.Routes == nil {
		in.Routes = jobs.Value("[]")
	}
	compared := c.comparisons()
	err = c.edit(ctx, func(s *snapshot) ([]change, error) {
		a, err := s.managed(who, api)
		if err != nil {
			return nil, err
		}
		now := c.o.Now().UTC().Truncate(time.Millisecond)
		next := &Version{API: a, Name: version, State: Draft, Created: now}
		old := a.Version(version)
		if made = old == nil; !made {
			copied := *old
			next = &copied
		}
		next.OpenAPI, next.RouteList, next.Mock, next.Base, next.Updated = text, in.Routes, in.Mock, in.Base, now
		next.document = func() (*openapi.Document, error) { return doc, nil }
		switch {
		case next.State == Retired:
			return nil, jobs.NewProblem(jobs.Conflict, "Retired", "%s is retired, and can't be changed. Make another version.", next.FullName())
		case made && len(a.Versions) >= rest.MaxVersions:
			return nil, tooMany("versions of "+a.Name, rest.MaxVersions)
		}
		if err := next.decodeRoutes(&c.o); err != nil {
			return nil, err
		}
		if err := c.checkRoutes(s, next); err != nil {
			return nil, err
		}
		if next.State != Draft {
			if err := compared.refuseBreaking(ctx, old, next, "PUT"); err != nil {
				return nil, err
			}
		}
		ch, err := old.change(next)
		if before := old.size(); s.versions[a.Tenant]+int64(len(ch.Data)-before) > rest.MaxVersionBytes && len(ch.Data) > before {
			return nil, jobs.NewProblem(jobs.TooLarge, "Catalogue full", "All versions of a tenant may have %s. Delete drafts, or APIs that are retired.", jobs.SizeText(rest.MaxVersionBytes))
		}
		v = next
		return []change{ch}, err
	})
	if err != nil {
		return nil, false, err
	}
	return c.now.Load().freshVersion(v), made, nil
}

func (v *Version) size() int {
	if v == nil {
		return 0
	}
	return len(v.stored)
}

func (s *snapshot) freshVersion(v *Version) *Version {
	if a := s.apis[apiKey{v.API.Tenant, v.API.Name}]; a != nil {
		return cmp.Or(a.Version(v.Name), v)
	}
	return v
}

// version returns a version that a caller may change.
func (s *snapshot) version(who *auth.Identity, api, version string) (*Version, error) {
	a, err := s.managed(who, api)
	if err != nil {
		return nil, err
	}
	if v := a.Version(version); v != nil {
		return v, nil
	}
	return nil, noVersion(api, version)
}

// DeleteVersion deletes a draft.
func (c *Catalog) DeleteVersion(ctx context.Context, who *auth.Identity, api, version string) error {
	return c.edit(ctx, func(s *snapshot) ([]change, error) {
		v, err := s.version(who, api, version)
		if err != nil {
			return nil, err
		}
		if v.State != Draft {
			return nil, jobs.NewProblem(jobs.Conflict, "Not a draft", "%s is %s; only a draft can be deleted. Retire it, so that callers learn what is instead.", v.FullName(), v.State)
		}
		return []change{deletion(v.API.Tenant, kindVersion, v.FullName(), v.stored)}, nil
	})
}

// Move changes the state of a version.
func (c *Catalog) Move(ctx context.Context, who *auth.Identity, api, version string, to State, in MoveMembers) (v *Version, err error) {
	compared := c.comparisons()
	err = c.edit(ctx, func(s *snapshot) ([]change, error) {
		old, err := s.version(who, api, version)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(moves[old.State], to) {
			return nil, jobs.NewProblem(jobs.Conflict, "Wrong state", "%s is %s, and can become %s only. States are %s, in this order.", old.FullName(), old.State, cmp.Or(words(slices.DeleteFunc(slices.Clone(moves[old.State]), func(t State) bool { return t == old.State })), "nothing else"), words(States))
		}
		copied := *old
		next, now := &copied, c.o.Now().UTC().Truncate(time.Millisecond)
		next.State, v = to, next
		switch to {
		case Published:
			if old.State == Published {
				return nil, nil
			}
			next.Published = now
			if err := compared.checkMajor(ctx, next); err != nil {
				return nil, err
			}
		case Deprecated:
			if next.Deprecated.IsZero() {
				next.Deprecated = now
			}
			if next.Sunset = in.Sunset.UTC(); !in.Sunset.IsZero() && !in.Sunset.After(now) {
				return nil, jobs.Invalid("/sunset", "must be a time to come: until then callers have time to change")
			}
			next.Successor = in.Successor
		case Retired:
			if next.Retired.IsZero() {
				next.Retired = now
			}
			next.Successor = cmp.Or(in.Successor, next.Successor)
		}
		if in.Successor != "" {
			if to := old.API.Version(in.Successor); to == nil || to.Name == old.Name || to.State != Published && to.State != Deprecated {
				return nil, jobs.Invalid("/successor", "must be another version of %s that is published", old.API.Name)
			}
		}
		next.Updated = now
		ch, err := old.change(next)
		return []change{ch}, err
	})
	if err != nil {
		return nil, err
	}
	return c.now.Load().freshVersion(v), nil
}
