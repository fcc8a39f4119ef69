package catalog

import (
	"cmp"
	"net/http"
	"strconv"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/gateway"
	"jobhub/web/gateway/openapi"
)

// Values of members of an API; the first of each is the default.
var (
	Visibilities = []string{"tenant", "all"}
	Accesses     = []string{"request", "open"}
	Approvals    = []string{"manual", "auto"}
)

// API is an API of the catalogue. What a snapshot holds never changes.
type API struct {
	Tenant      string    `json:"-"`
	Name        string    `json:"-"`
	Title       string    `json:"title"`
	Description string    `json:"description,omitzero"`
	Team        string    `json:"team"` // the owner; empty where there are no keys
	Tags        []string  `json:"tags,omitempty"`
	Visibility  string    `json:"visibility"`
	Access      string    `json:"access"`
	Approval    string    `json:"approval"`
	Plans       []string  `json:"plans,omitempty"` // that auto approval gives; the first is the default
	Created     time.Time `json:"created"`
	Updated     time.Time `json:"updated"`

	Versions []*Version `json:"-"` // in their order: v1, v1.2, v1.10, v2

	stored jobs.Value
}

// Version is a version of an API.
type Version struct {
	API        *API       `json:"-"`
	Name       string     `json:"-"`
	State      State      `json:"state"`
	OpenAPI    string     `json:"openapi"` // byte for byte as it was given
	RouteList  jobs.Value `json:"routes"`
	Mock       bool       `json:"mock,omitzero"`
	Base       string     `json:"base,omitzero"` // what the paths of the routes have before those of the document
	Created    time.Time  `json:"created"`
	Updated    time.Time  `json:"updated"`
	Published  time.Time  `json:"published,omitzero"`
	Deprecated time.Time  `json:"deprecated,omitzero"`
	Sunset     time.Time  `json:"sunset,omitzero"`
	Successor  string     `json:"successor,omitzero"` // another version of the API
	Retired    time.Time  `json:"retired,omitzero"`

	Routes []gateway.Route `json:"-"`

	document func() (*openapi.Document, error)
	scopes   []string
	header   http.Header   // of answers, if it is deprecated
	refusal  *jobs.Problem // of requests, if it is retired
	stored   jobs.Value
}

// Document returns the OpenAPI document. It is read when it is first asked for.
func (v *Version) Document() (*openapi.Document, error) { return v.document() }

// FullName names a version with its API, like orders/v2.
func (v *Version) FullName() string { return v.API.Name + "/" + v.Name }

// Scopes are the scopes that its routes need.
func (v *Version) Scopes() []string { return v.scopes }

// Access is what a caller has asked for: to call a version.
type Access struct {
	Tenant  string      `json:"-"` // of the API
	ID      string      `json:"-"`
	API     string      `json:"api"`
	Version string      `json:"version"`
	Plan    string      `json:"plan,omitzero"`
	State   AccessState `json:"state"`

	CallerTenant string `json:"caller_tenant"`
	Consumer     string `json:"consumer"` // see auth.Identity.Consumer
	Name         string `json:"name"`     // of the caller, for people

	Created   time.Time `json:"created"`
	Decided   time.Time `json:"decided,omitzero"`
	DecidedBy string    `json:"decided_by,omitzero"`

	stored jobs.Value
}

// isAdmin reports whether a caller is an admin of its tenant.
func isAdmin(who *auth.Identity) bool { return who.May(auth.Administer, auth.Target{}) }

// mayPublish reports whether the role of a caller may change APIs of its team.
func mayPublish(who *auth.Identity) bool { return who.May(auth.Publish, auth.Target{}) }

// OwnedBy reports whether a caller is of the team that owns an API, or an admin of its tenant.
func (a *API) OwnedBy(who *auth.Identity) bool {
	if who.Tenant != a.Tenant || who.Grant != nil || who.Subject != "" {
		return false
	}
	return who.Team != "" && who.Team == a.Team || isAdmin(who)
}

// ManagedBy reports whether a caller may change an API.
func (a *API) ManagedBy(who *auth.Identity) bool { return a.OwnedBy(who) && mayPublish(who) }

// VisibleTo reports whether a caller may see an API.
func (a *API) VisibleTo(who *auth.Identity) bool {
	if a.OwnedBy(who) {
		return true
	}
	return (who.Tenant == a.Tenant || a.Visibility == "all") && a.released()
}

// released reports whether an API has a version that is not a draft.
func (a *API) released() bool {
	for _, v := range a.Versions {
		if v.State != Draft {
			return true
		}
	}
	return false
}

// VisibleTo reports whether a caller may see a version.
func (v *Version) VisibleTo(who *auth.Identity) bool {
	return v.API.VisibleTo(who) && (v.State != Draft || v.API.OwnedBy(who))
}

// Version returns a version by its name; nil if there is none.
func (a *API) Version(name string) *Version {
	for _, v := range a.Versions {
		if v.Name == name {
			return v
		}
	}
	return nil
}

// compareVersions orders names of versions for people: v2 before v10.
func compareVersions(a, b string) int {
	for a != "" && b != "" {
		x, y := leadingDigits(a), leadingDigits(b)
		if x != "" && y != "" {
			n, m := strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			if c := cmp.Or(cmp.Compare(len(n), len(m)), cmp.Compare(n, m)); c != 0 {
				return c
			}
			a, b = a[len(x):], b[len(y):]
			continue
		}
		if a[0] != b[0] {
			return cmp.Compare(a[0], b[0])
		}
		a, b = a[1:], b[1:]
	}
	return cmp.Compare(len(a), len(b))
}

func leadingDigits(s string) string {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return s[:n]
}

// major returns the major number of a version like v2, v2.1 or 2.1.0; ok is false for names
// without one, and for 0, below which all may change.
func major(name string) (n int, ok bool) {
	rest := strings.TrimPrefix(name, "v")
	digits := leadingDigits(rest)
	if rest = rest[len(digits):]; rest != "" && rest[0] != '.' && rest[0] != '-' {
		return 0, false
	}
	n, err := strconv.Atoi(digits)
	return n, err == nil && n > 0
}
