package view

import (
	"net/url"
	"slices"
	"strconv"
	"time"
)

// Catalog is the page that finds APIs.
type Catalog struct {
	Origin      string
	Query       CatalogQuery
	Teams, Tags []string // of the APIs that the user may see
	APIs        []CatalogAPI
	Next        string // where the next page begins; empty if there is none
	Pending     int    // requests for access that the user may decide
}

// CatalogQuery says which APIs to show; empty members select all.
type CatalogQuery struct{ Text, Team, Tag, State, Cursor string }

// CatalogAPI is an API of the catalogue.
type CatalogAPI struct {
	Name, Title, Description, Team string
	Tags                           []string
	Open                           bool // callers need no access
	Versions                       []CatalogVersion
}

// CatalogVersion is a version of an API. Times are zero if they are not known.
type CatalogVersion struct {
	Name, State                            string
	Published, Deprecated, Sunset, Retired time.Time
	Successor                              string // another version; empty for none
	Mock                                   bool
}

// APIVersion is the page of a version.
type APIVersion struct {
	API     CatalogAPI
	It      CatalogVersion
	Server  string // the address before the paths of its operations
	Scopes  []string
	Title   string // of its document
	Text    string
	Wrong   string // why its document can't be shown; empty if it can
	Calls   []APIOperation
	From    int // the number of operations before those of Calls
	Of      int // all operations
	Plans   []string
	MayAsk  bool
	Own     *Access  // of the user; nil for none
	Owner   bool     // the user sees who has access
	Callers []Access // those that the owner sees
	More    bool     // there are other callers
}

// OperationsShown is how many operations a page shows.
const OperationsShown = 50

// Access is what a caller has asked for.
type Access struct {
	ID, API, Version, Plan, State string
	Name, Consumer, Tenant        string // of the caller; Tenant is empty for that of the user
	Created, Decided              time.Time
	DecidedBy                     string
	Plans                         []string // that the owner can give
	Decisions                     []Decision
}

// Decision is what the user may do with an access.
type Decision struct{ Path, Name string }

// Accesses is the page of requests for access.
type Accesses struct {
	State string // shown; empty for all
	List  []Access
	Next  string
}

// stateClass has the class of the style sheet for each state of a version, an access or a key.
var stateClass = map[string]string{
	"draft": "scheduled", "published": "succeeded", "deprecated": "retrying", "retired": "cancelled",
	"pending": "waiting", "active": "succeeded", "rejected": "failed", "suspended": "paused",
	"valid": "succeeded", "expired": "cancelled", "revoked": "failed",
}

func (q CatalogQuery) any() bool { return q.Text != "" || q.Team != "" || q.Tag != "" || q.State != "" }

// path is the page of APIs from a cursor on.
func (q CatalogQuery) path(cursor string) string {
	return pathOf("/catalog", "q", q.Text, "team", q.Team, "tag", q.Tag, "state", q.State, "cursor", cursor)
}

// pathOf is a path with a query of names and values; those without a value are left out.
func pathOf(path string, pairs ...string) string {
	values := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			values.Set(pairs[i], pairs[i+1])
		}
	}
	return pathWith(path, values.Encode())
}

func (a CatalogAPI) path(version string) string { return "/catalog/" + a.Name + "/" + version }

func (x Access) path() string { return "/catalog/" + x.API + "/" + x.Version }

func (x Access) version() string { return x.API + "/" + x.Version }

// decides reports whether the user may decide anything.
func (x Access) decides() bool { return len(x.Decisions) > 0 }

// callable reports whether the version takes calls of others than its owners.
func (m APIVersion) callable() bool { return m.It.State == "published" || m.It.State == "deprecated" }

// askable reports whether the user can ask for access now.
func (m APIVersion) askable() bool {
	return m.MayAsk && m.callable() && !m.API.Open && (m.Own == nil || m.Own.State == "rejected")
}

var accessStates = []string{"", "pending", "active", "rejected", "suspended"}

var versionStates = []string{"draft", "published", "deprecated", "retired"}

const asCaller = ` \
  -H "Authorization: Bearer $JOBHUB_TOKEN" \
  -H 'Content-Type: application/json' `

// makeAPI shows how to put an API into the catalogue.
func makeAPI(origin string) string {
	base := origin + "/v1/apis/orders"
	return "curl -X PUT " + base + asCaller + `-d '{"title":"Orders"}'` + "\n" +
		`jq -n --rawfile doc openapi.yaml '{openapi:$doc,routes:[{path:"/orders/",upstream:"https://orders.example.com"}]}' |` + "\n" +
		"  curl -X PUT " + base + "/versions/v1" + asCaller + "-d @-\n" +
		"curl -X POST " + base + "/versions/v1/publish" + ` -H "Authorization: Bearer $JOBHUB_TOKEN"`
}

// withValue adds a value to options that do not have it.
func withValue(options []string, value string) []string {
	if value == "" || slices.Contains(options, value) {
		return options
	}
	return append(slices.Clip(options), value)
}

// from is the page of the version that begins after n operations; empty if it is this one, or
// there are no more.
func (m APIVersion) from(n int) string {
	if n == m.From || n >= m.Of {
		return ""
	}
	path := m.API.path(m.It.Name)
	if n == 0 {
		return path
	}
	return pathOf(path, "from", strconv.Itoa(n))
}
