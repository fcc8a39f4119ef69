package catalog

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/web/gateway"
	"jobhub/web/gateway/openapi"
)

// apiKey names an API.
type apiKey struct{ tenant, name string }

// accessKey names the access of a caller.
type accessKey struct{ tenant, api, version, callerTenant, consumer string }

// snapshot is the whole catalogue at one moment. It never changes.
type snapshot struct {
	apis     map[apiKey]*API
	public   map[string]*API // visible to all tenants, by name
	access   map[accessKey]*Access
	byID     map[string]*Access // by tenant, a slash, and id
	routes   []gateway.Route    // those of retired versions last
	live     int                // how many of these are of others
	versions map[string]int64   // bytes of all versions, by tenant
}

// load reads all documents. What can't be read is left out, and reported to log.
func load(ctx context.Context, docs Documents, o *Options) (*snapshot, error) {
	s := &snapshot{apis: map[apiKey]*API{}, access: map[accessKey]*Access{}, byID: map[string]*Access{}}
	for _, kind := range []string{kindAPI, kindVersion, kindAccess} {
		list, err := docs.List(ctx, "", kind)
		if err != nil {
			return nil, err
		}
		for _, d := range list {
			if err := s.read(d, o); err != nil {
				o.Logger.Error("a document of the catalogue can't be used", "kind", kind, "tenant", d.Tenant, "name", d.Name, "error", err)
			}
		}
	}
	s.finish(o)
	return s, nil
}

// read adds a stored document.
func (s *snapshot) read(d jobs.Document, o *Options) error {
	switch d.Kind {
	case kindAPI:
		a := &API{Tenant: d.Tenant, Name: d.Name, stored: d.Data}
		if err := json.Unmarshal(d.Data, a); err != nil {
			return err
		}
		s.apis[apiKey{a.Tenant, a.Name}] = a
	case kindVersion:
		name, version, _ := strings.Cut(d.Name, "/")
		a := s.apis[apiKey{d.Tenant, name}]
		if a == nil {
			return fmt.Errorf("there is no API %s", name)
		}
		v := &Version{API: a, Name: version, stored: d.Data}
		if err := json.Unmarshal(d.Data, v); err != nil {
			return err
		}
		a.Versions = append(a.Versions, v)
		v.document = sync.OnceValues(func() (*openapi.Document, error) { return openapi.Parse([]byte(v.OpenAPI)) })
		return v.decodeRoutes(o) // without routes it still has a state
	default:
		a := &Access{Tenant: d.Tenant, ID: d.Name, stored: d.Data}
		if err := json.Unmarshal(d.Data, a); err != nil {
			return err
		}
		s.add(a)
	}
	return nil
}

func (s *snapshot) add(a *Access) {
	s.access[accessKey{a.Tenant, a.API, a.Version, a.CallerTenant, a.Consumer}] = a
	s.byID[a.Tenant+"/"+a.ID] = a
}

// with returns the snapshot after some changes.
func (s *snapshot) with(changes []change, o *Options) *snapshot {
	next := &snapshot{apis: make(map[apiKey]*API, len(s.apis)+1), access: maps.Clone(s.access), byID: maps.Clone(s.byID)}
	for key, a := range s.apis {
		next.apis[key] = a.clone()
	}
	for _, c := range changes {
		key := apiKey{c.Tenant, c.Name}
		switch {
		case c.Kind == kindAPI && c.api == nil:
			delete(next.apis, key)
		case c.Kind == kindAPI:
			a := c.api.clone()
			if old := next.apis[key]; old != nil {
				a.Versions = old.Versions
			}
			for _, v := range a.Versions {
				v.API = a
			}
			next.apis[key] = a
		case c.Kind == kindVersion:
			name, version, _ := strings.Cut(c.Name, "/")
			a := next.apis[apiKey{c.Tenant, name}]
			a.Versions = slices.DeleteFunc(a.Versions, func(v *Version) bool { return v.Name == version })
			if c.version != nil {
				v := *c.version
				v.API = a
				a.Versions = append(a.Versions, &v)
			}
		default:
			if old := next.byID[c.Tenant+"/"+c.Name]; old != nil {
				delete(next.access, accessKey{old.Tenant, old.API, old.Version, old.CallerTenant, old.Consumer})
				delete(next.byID, c.Tenant+"/"+c.Name)
			}
			if c.access != nil {
				next.add(c.access)
			}
		}
	}
	next.finish(o)
	return next
}

// clone copies an API and its versions.
func (a *API) clone() *API {
	next := *a
	next.Versions = make([]*Version, len(a.Versions))
	for i, v := range a.Versions {
		w := *v
		w.API, next.Versions[i] = &next, &w
	}
	return &next
}

// finish derives what follows from the documents.
func (s *snapshot) finish(o *Options) {
	s.public, s.versions = map[string]*API{}, map[string]int64{}
	var retired []gateway.Route
	for _, key := range slices.SortedFunc(maps.Keys(s.apis), func(a, b apiKey) int {
		return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.name, b.name))
	}) {
		a := s.apis[key]
		slices.SortFunc(a.Versions, func(v, w *Version) int { return compareVersions(v.Name, w.Name) })
		if a.Visibility == "all" && s.public[a.Name] == nil {
			s.public[a.Name] = a
		}
		for _, v := range a.Versions {
			s.versions[a.Tenant] += int64(len(v.stored))
			v.announce(o)
			if v.State == Retired {
				retired = append(retired, v.Routes...)
			} else {
				s.routes = append(s.routes, v.Routes...)
			}
		}
	}
	s.live = len(s.routes)
	s.routes = append(s.routes, retired...)
}

// announce sets what callers of a deprecated or retired version are told: RFC 9745 for
// Deprecation, RFC 8594 for Sunset, RFC 5829 for the link to the successor.
func (v *Version) announce(o *Options) {
	v.header, v.refusal = nil, nil
	if v.State != Deprecated && v.State != Retired {
		return
	}
	page := o.Origin + "/catalog/" + v.API.Name + "/"
	v.header = http.Header{"Link": {"<" + page + v.Name + `>; rel="deprecation"; type="text/html"`}}
	if v.Successor != "" {
		v.header["Link"] = append(v.header["Link"], "<"+page+v.Successor+`>; rel="successor-version"`)
	}
	if !v.Deprecated.IsZero() {
		v.header.Set("Deprecation", "@"+strconv.FormatInt(v.Deprecated.Unix(), 10))
	}
	if !v.Sunset.IsZero() {
		v.header.Set("Sunset", v.Sunset.UTC().Format(http.TimeFormat))
	}
	if v.State == Retired {
		detail := fmt.Sprintf("%s was retired on %s.", v.FullName(), v.Retired.UTC().Format(time.DateOnly))
		if v.Successor != "" {
			detail += fmt.Sprintf(" Its successor is %s/%s; see %s.", v.API.Name, v.Successor, page+v.Successor)
		} else {
			detail += " See " + page + v.Name + " for other versions."
		}
		v.refusal = &jobs.Problem{Type: "urn:jobhub:problem:gone", Title: "Retired", Status: http.StatusGone, Code: jobs.NotFound, Detail: detail}
	}
}

// find returns the API that a caller of a tenant means by a name; nil if there is none.
func (s *snapshot) find(tenant, name string) *API {
	if a := s.apis[apiKey{tenant, name}]; a != nil {
		return a
	}
	return s.public[name]
}
