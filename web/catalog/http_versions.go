package catalog

import (
	"net/http"
	"strings"
	"time"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/gateway/openapi"
	"jobhub/web/rest"
)

// versionDocument is the JSON of a version.
type versionDocument struct {
	Version    string            `json:"version"`
	State      State             `json:"state"`
	Mock       bool              `json:"mock"`
	Base       string            `json:"base,omitzero"`
	Created    string            `json:"created_at"`
	Updated    string            `json:"updated_at"`
	Published  *string           `json:"published_at,omitzero"`
	Deprecated *string           `json:"deprecated_at,omitzero"`
	Sunset     *string           `json:"sunset,omitzero"`
	Successor  string            `json:"successor,omitzero"`
	Retired    *string           `json:"retired_at,omitzero"`
	Links      map[string]string `json:"links"`

	// Of a version alone:
	API      string             `json:"api,omitzero"`
	Title    string             `json:"title,omitzero"` // of the document
	Scopes   []string           `json:"scopes,omitzero"`
	Paths    []string           `json:"paths,omitzero"`  // the names of its routes
	Routes   jobs.Value         `json:"routes,omitzero"` // for those who may change it: they hold addresses and credentials
	Warnings []jobs.MemberError `json:"warnings,omitzero"`
}

// brief returns a version as it stands in its API.
func (v *Version) brief() versionDocument {
	self := "/v1/apis/" + v.API.Name + "/versions/" + v.Name
	return versionDocument{Version: v.Name, State: v.State, Mock: v.Mock, Base: v.Base, Created: *instant(v.Created), Updated: *instant(v.Updated), Published: instant(v.Published),
		Deprecated: instant(v.Deprecated), Sunset: instant(v.Sunset), Successor: v.Successor, Retired: instant(v.Retired),
		Links: map[string]string{"self": self, "openapi": self + "/openapi.json", "page": "/catalog/" + v.FullName()}}
}

// whole returns a version with all that a caller may see.
func (v *Version) whole(who *auth.Identity) versionDocument {
	d := v.brief()
	d.API, d.Scopes, d.Paths = v.API.Name, append([]string{}, v.scopes...), []string{}
	for i := range v.Routes {
		d.Paths = append(d.Paths, v.Routes[i].Name())
	}
	if v.API.ManagedBy(who) {
		d.Routes = v.RouteList
	}
	if doc, err := v.Document(); err == nil {
		d.Title = doc.Title
		for _, f := range doc.Warnings {
			d.Warnings = append(d.Warnings, jobs.MemberError{Pointer: "/openapi" + f.Pointer, Detail: f.Detail})
		}
	}
	return d
}

// getVersion is GET /v1/apis/{name}/versions/{version}.
func (s *Server) getVersion(w http.ResponseWriter, r *http.Request) error {
	who := callerOf(r)
	v, err := s.Catalog.Version(who, r.PathValue("name"), r.PathValue("version"))
	if err != nil {
		return err
	}
	return writeDocument(w, http.StatusOK, v.whole(who))
}

// putVersion is PUT /v1/apis/{name}/versions/{version}: it answers 201 for a new version, else 200.
func (s *Server) putVersion(w http.ResponseWriter, r *http.Request) error {
	var in VersionMembers
	if _, err := rest.DecodeBody(w, r, rest.MaxVersionBody, &in); err != nil {
		return err
	}
	who := callerOf(r)
	v, made, err := s.Catalog.PutVersion(r.Context(), who, r.PathValue("name"), r.PathValue("version"), in)
	if err != nil {
		return err
	}
	return writeDocument(w, madeStatus(w, made, "/v1/apis/"+v.API.Name+"/versions/"+v.Name), v.whole(who))
}

// deleteVersion is DELETE /v1/apis/{name}/versions/{version}.
func (s *Server) deleteVersion(w http.ResponseWriter, r *http.Request) error {
	if err := s.Catalog.DeleteVersion(r.Context(), callerOf(r), r.PathValue("name"), r.PathValue("version")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// ServerURL returns the address under which the paths of a version's document are served.
func (c *Catalog) ServerURL(v *Version) string {
	base := v.Base
	if base == "" {
		for i := range v.Routes {
			if base = strings.TrimSuffix(v.Routes[i].Strip, "/"); base != "" {
				break
			}
		}
	}
	if base == "" {
		if doc, err := v.Document(); err == nil && len(doc.Servers) > 0 {
			base = serverPath(doc.Servers[0].URL)
		}
	}
	if c.o.Origin+base == "" {
		return "/"
	}
	return c.o.Origin + base
}

// serverPath returns the path of the URL of a server.
func serverPath(text string) string {
	if _, rest, ok := strings.Cut(text, "://"); ok {
		_, path, _ := strings.Cut(rest, "/")
		text = "/" + path
	}
	return strings.TrimSuffix(text, "/")
}

// getDocument is GET /v1/apis/{name}/versions/{version}/openapi.json.
func (s *Server) getDocument(w http.ResponseWriter, r *http.Request) error {
	v, err := s.Catalog.Version(callerOf(r), r.PathValue("name"), r.PathValue("version"))
	if err != nil {
		return err
	}
	doc, err := v.Document()
	if err != nil {
		return err
	}
	return rest.WriteJSON(w, http.StatusOK, doc.JSON(s.Catalog.ServerURL(v)))
}

// diffVersion is POST /v1/apis/{name}/versions/{version}/diff with a document as JSON or YAML.
func (s *Server) diffVersion(w http.ResponseWriter, r *http.Request) error {
	read := rest.ReadJSON
	if isYAML(r.Header.Get("Content-Type")) {
		if err := rest.RequireUncompressed(w, r); err != nil {
			return err
		}
		read = rest.ReadBody
	}
	body, err := read(w, r, rest.MaxOpenAPI)
	if err != nil {
		return err
	}
	diff, err := s.Catalog.Diff(r.Context(), callerOf(r), r.PathValue("name"), r.PathValue("version"), body)
	if err != nil {
		return err
	}
	if diff.Breaking == nil {
		diff.Breaking = []openapi.Change{}
	}
	if diff.Compatible == nil {
		diff.Compatible = []openapi.Change{}
	}
	return writeDocument(w, http.StatusOK, diff)
}

// publish is POST /v1/apis/{name}/versions/{version}/publish.
func (s *Server) publish(w http.ResponseWriter, r *http.Request) error {
	if _, err := rest.DecodeBody(w, r, rest.MaxReport, &struct{}{}); err != nil {
		return err
	}
	return s.move(w, r, Published, MoveMembers{})
}

// deprecate is POST /v1/apis/{name}/versions/{version}/deprecate.
func (s *Server) deprecate(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Sunset    *string `json:"sunset"`
		Successor *string `json:"successor"`
	}
	if _, err := rest.DecodeBody(w, r, rest.MaxReport, &in); err != nil {
		return err
	}
	var members MoveMembers
	if in.Sunset != nil {
		var err error
		if members.Sunset, err = time.Parse(time.RFC3339, *in.Sunset); err != nil {
			return jobs.Invalid("/sunset", "must be a time in RFC 3339, like 2030-01-31T00:00:00Z")
		}
	}
	if in.Successor != nil {
		members.Successor = *in.Successor
	}
	return s.move(w, r, Deprecated, members)
}

// retire is POST /v1/apis/{name}/versions/{version}/retire.
func (s *Server) retire(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Successor *string `json:"successor"`
	}
	if _, err := rest.DecodeBody(w, r, rest.MaxReport, &in); err != nil {
		return err
	}
	var members MoveMembers
	if in.Successor != nil {
		members.Successor = *in.Successor
	}
	return s.move(w, r, Retired, members)
}

func (s *Server) move(w http.ResponseWriter, r *http.Request, to State, in MoveMembers) error {
	who := callerOf(r)
	v, err := s.Catalog.Move(r.Context(), who, r.PathValue("name"), r.PathValue("version"), to, in)
	if err != nil {
		return err
	}
	return writeDocument(w, http.StatusOK, v.whole(who))
}
