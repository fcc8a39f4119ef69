package catalog

import (
	"net/http"
	"regexp"

	"jobhub/web/rest"
)

// accessDocument is the JSON of an access.
type accessDocument struct {
	ID        string            `json:"id"`
	API       string            `json:"api"`
	Version   string            `json:"version"`
	Plan      string            `json:"plan"`
	State     AccessState       `json:"state"`
	Scopes    []string          `json:"scopes"`
	Consumer  string            `json:"consumer"`
	Name      string            `json:"name"`
	Created   string            `json:"created_at"`
	Decided   *string           `json:"decided_at,omitzero"`
	DecidedBy string            `json:"decided_by,omitzero"`
	Links     map[string]string `json:"links"`
}

func (s *Server) documentOf(x *Access) accessDocument {
	return accessDocument{ID: x.ID, API: x.API, Version: x.Version, Plan: x.Plan, State: x.State, Scopes: append([]string{}, s.Catalog.ScopesOf(x)...), Consumer: x.Consumer, Name: x.Name,
		Created: *instant(x.Created), Decided: instant(x.Decided), DecidedBy: x.DecidedBy,
		Links: map[string]string{"self": "/v1/access/" + x.ID, "version": "/v1/apis/" + x.API + "/versions/" + x.Version, "page": "/catalog/" + x.API + "/" + x.Version}}
}

// ask is POST /v1/access: it answers 201 for a new access, else 200.
func (s *Server) ask(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		API     string `json:"api"`
		Version string `json:"version"`
		Plan    string `json:"plan"`
	}
	if _, err := rest.DecodeBody(w, r, rest.MaxReport, &in); err != nil {
		return err
	}
	switch {
	case in.API == "":
		return rest.InvalidMember("/api", "is required: the name of an API of the catalogue")
	case in.Version == "":
		return rest.InvalidMember("/version", "is required: a version of the API")
	}
	x, made, err := s.Catalog.Ask(r.Context(), callerOf(r), in.API, in.Version, in.Plan)
	if err != nil {
		return err
	}
	return writeDocument(w, madeStatus(w, made, "/v1/access/"+x.ID), s.documentOf(x))
}

var accessID = regexp.MustCompile(`^acc_[0-9a-f]{24}$`)

// listAccess is GET /v1/access.
func (s *Server) listAccess(w http.ResponseWriter, r *http.Request) error {
	query, limit, err := paging(r, "api", "version", "state")
	if err != nil {
		return err
	}
	f := AccessFilter{API: query.Get("api"), Version: query.Get("version"), State: AccessState(query.Get("state")), After: query.Get("cursor"), Limit: limit}
	switch {
	case f.State != "" && !isOneOf(f.State, AccessStates):
		return rest.BadParameter("state", "must be one of "+words(AccessStates))
	case f.After != "" && !accessID.MatchString(f.After):
		return rest.BadParameter("cursor", "must be the next_cursor of a page")
	}
	list, more := s.Catalog.Accesses(callerOf(r), f)
	doc := struct {
		Access []accessDocument `json:"access"`
		Next   string           `json:"next_cursor,omitzero"`
	}{Access: []accessDocument{}}
	for _, x := range list {
		doc.Access = append(doc.Access, s.documentOf(x))
	}
	if more {
		doc.Next = list[len(list)-1].ID
		next(w, "/v1/access", query, doc.Next)
	}
	return writeDocument(w, http.StatusOK, doc)
}

// getAccess is GET /v1/access/{id}.
func (s *Server) getAccess(w http.ResponseWriter, r *http.Request) error {
	x, err := s.Catalog.AccessByID(callerOf(r), r.PathValue("id"))
	if err != nil {
		return err
	}
	return writeDocument(w, http.StatusOK, s.documentOf(x))
}

// decide is POST /v1/access/{id}/approve, /reject and /suspend.
func (s *Server) decide(to AccessState) rest.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		var in struct {
			Plan string `json:"plan"`
		}
		if to == Active {
			if _, err := rest.DecodeBody(w, r, rest.MaxReport, &in); err != nil {
				return err
			}
		} else if _, err := rest.DecodeBody(w, r, rest.MaxReport, &struct{}{}); err != nil {
			return err
		}
		x, err := s.Catalog.Decide(r.Context(), callerOf(r), r.PathValue("id"), to, in.Plan)
		if err != nil {
			return err
		}
		return writeDocument(w, http.StatusOK, s.documentOf(x))
	}
}
