package catalog

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/rest"
)

// apiDocument is the JSON of an API.
type apiDocument struct {
	Name        string            `json:"name"`
	Title       string            `json:"title"`
	Description string            `json:"description"`
	Team        string            `json:"team"`
	Tags        []string          `json:"tags"`
	Visibility  string            `json:"visibility"`
	Access      string            `json:"access"`
	Approval    string            `json:"approval"`
	Plans       []string          `json:"plans"`
	Created     string            `json:"created_at"`
	Updated     string            `json:"updated_at"`
	Versions    []versionDocument `json:"versions"`
	Links       map[string]string `json:"links"`
}

// instant returns a time for JSON; nil for none.
func instant(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.UTC().Format(jobs.TimeFormat)
	return &text
}

// documentOf returns what a caller may see of an API.
func (a *API) documentOf(who *auth.Identity) apiDocument {
	self := "/v1/apis/" + a.Name
	d := apiDocument{Name: a.Name, Title: a.Title, Description: a.Description, Team: a.Team, Tags: append([]string{}, a.Tags...), Visibility: a.Visibility, Access: a.Access,
		Approval: a.Approval, Plans: append([]string{}, a.Plans...), Created: *instant(a.Created), Updated: *instant(a.Updated), Versions: []versionDocument{},
		Links: map[string]string{"self": self, "page": "/catalog/" + a.Name}}
	for _, v := range a.Versions {
		if v.VisibleTo(who) {
			d.Versions = append(d.Versions, v.brief())
		}
	}
	return d
}

func writeDocument(w http.ResponseWriter, status int, doc any) error {
	body, err := json.Marshal(doc, json.Deterministic(true))
	if err != nil {
		return err
	}
	return rest.WriteJSON(w, status, body)
}

func callerOf(r *http.Request) *auth.Identity {
	who := rest.IdentityOf(r)
	return &who
}

// paging reads limit and cursor from a query that has only the parameters allowed besides them.
func paging(r *http.Request, allowed ...string) (query url.Values, limit int, err error) {
	if query, err = rest.ReadQuery(r, append(allowed, "limit", "cursor")...); err != nil {
		return nil, 0, err
	}
	for name, values := range query {
		if len(values) != 1 {
			return nil, 0, rest.BadParameter(name, "is given more than once")
		}
		if len(values[0]) > rest.MaxSearchText || !utf8.ValidString(values[0]) {
			return nil, 0, rest.BadParameter(name, "must be up to 256 bytes of UTF-8")
		}
	}
	limit = 50
	if text := query.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > 500 {
			return nil, 0, rest.BadParameter("limit", "must be a number from 1 to 500")
		}
	}
	return query, limit, nil
}

// next sets the link to the next page.
func next(w http.ResponseWriter, path string, query url.Values, cursor string) {
	query.Set("cursor", cursor)
	w.Header().Set("Link", "<"+path+"?"+query.Encode()+`>; rel="next"`)
}

// listAPIs is GET /v1/apis.
func (s *Server) listAPIs(w http.ResponseWriter, r *http.Request) error {
	query, limit, err := paging(r, "q", "team", "tag", "state")
	if err != nil {
		return err
	}
	f := APIFilter{Text: query.Get("q"), Team: query.Get("team"), Tag: query.Get("tag"), State: State(query.Get("state")), After: query.Get("cursor"), Limit: limit}
	switch {
	case f.State != "" && !isOneOf(f.State, States):
		return rest.BadParameter("state", "must be one of "+words(States))
	case f.After != "" && !jobs.WellFormedName(f.After):
		return rest.BadParameter("cursor", "must be the next_cursor of a page")
	}
	who := callerOf(r)
	list, more := s.Catalog.APIs(who, f)
	doc := struct {
		APIs []apiDocument `json:"apis"`
		Next string        `json:"next_cursor,omitzero"`
	}{APIs: []apiDocument{}}
	for _, a := range list {
		doc.APIs = append(doc.APIs, a.documentOf(who))
	}
	if more {
		doc.Next = list[len(list)-1].Name
		next(w, "/v1/apis", query, doc.Next)
	}
	return writeDocument(w, http.StatusOK, doc)
}

// getAPI is GET /v1/apis/{name}.
func (s *Server) getAPI(w http.ResponseWriter, r *http.Request) error {
	who := callerOf(r)
	a, err := s.Catalog.API(who, r.PathValue("name"))
	if err != nil {
		return err
	}
	return writeDocument(w, http.StatusOK, a.documentOf(who))
}

// putAPI is PUT /v1/apis/{name}: it answers 201 for a new API, else 200.
func (s *Server) putAPI(w http.ResponseWriter, r *http.Request) error {
	var in APIMembers
	if _, err := rest.DecodeBody(w, r, rest.MaxReport, &in); err != nil {
		return err
	}
	who := callerOf(r)
	a, made, err := s.Catalog.PutAPI(r.Context(), who, r.PathValue("name"), in)
	if err != nil {
		return err
	}
	return writeDocument(w, madeStatus(w, made, "/v1/apis/"+a.Name), a.documentOf(who))
}

func madeStatus(w http.ResponseWriter, made bool, location string) int {
	if made {
		w.Header().Set("Location", location)
		return http.StatusCreated
	}
	return http.StatusOK
}

// deleteAPI is DELETE /v1/apis/{name}.
func (s *Server) deleteAPI(w http.ResponseWriter, r *http.Request) error {
	if err := s.Catalog.DeleteAPI(r.Context(), callerOf(r), r.PathValue("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// yaml reports whether a media type is that of YAML.
func isYAML(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	return slices.Contains([]string{"application/yaml", "application/x-yaml", "text/yaml", "application/openapi+yaml"}, strings.ToLower(strings.TrimSpace(media)))
}
