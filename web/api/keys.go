package api

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/rest"
)

// keyStates are the states of keys that a list can ask for.
var keyStates = []string{auth.StateValid, auth.StateExpired, auth.StateRevoked}

// keyAnswer is the document of a key, with what only the answer to POST has.
type keyAnswer struct {
	auth.Document
	Key   string   `json:"key,omitzero"` // what its holder sends
	Notes []string `json:"notes,omitempty"`
}

const (
	noteFirstKey = "This is the hub's first key: from now on every caller needs one. Give commands a key (JOBHUB_TOKEN), restart workers with one, and save existing schedules again."
	noteReplayed = "This repeats an earlier request, whose answer had the key. It can't be shown again; if it was lost, revoke this one and make another."
)

// editor returns the editor of keys for the caller of a request.
func (s *Server) editor(r *http.Request) (auth.Editor, error) {
	if s.Auth == nil {
		return auth.Editor{}, jobs.NewProblem(jobs.Unsupported, "No keys here", "This hub is part of another program, which lets everybody in.")
	}
	who := rest.IdentityOf(r)
	return s.Auth.EditorFor(who, rest.IsHubTenant(who.Tenant)), nil
}

// createKey is POST /v1/keys.
func (s *Server) createKey(w http.ResponseWriter, r *http.Request) error {
	editor, err := s.editor(r)
	if err != nil {
		return err
	}
	if rest.ActingJob(r.Context()) != nil { // whoever may watch could read the key
		return jobs.NewProblem(jobs.Unsupported, "Not in a job", "The answer to this has a key, and an asynchronous batch stores its answers. Send this request by itself.")
	}
	body, err := rest.ReadJSON(w, r, rest.MaxReport)
	if err != nil {
		return err
	}
	idempotency, err := rest.IdempotencyKey(r, body)
	if err != nil {
		return err
	}
	now := time.Now()
	var in auth.Members
	if err := jobs.Decode(body, &in); err != nil {
		return err
	}
	var template auth.Key
	if err := in.Apply(&template, now); err != nil {
		return err
	}
	first := !s.KeysRequired(now)
	key, text, replayed, err := editor.Create(template, auth.NewRequest(idempotency), now)
	if err != nil {
		return err
	}
	out := keyAnswer{Document: key.Document(now), Key: text, Notes: s.planNotes(&key)}
	switch {
	case replayed:
		w.Header().Set("Idempotency-Replayed", "true")
		out.Notes = append(out.Notes, noteReplayed)
	case first:
		out.Notes = append(out.Notes, noteFirstKey)
	}
	if !replayed {
		s.logKey(r, "key created", &key, "role", key.Role)
	}
	w.Header().Set("Location", "/v1/keys/"+key.ID)
	return writeKey(w, http.StatusCreated, out)
}

// getKey is GET /v1/keys/{id}.
func (s *Server) getKey(w http.ResponseWriter, r *http.Request) error {
	editor, err := s.editor(r)
	if err != nil {
		return err
	}
	key, err := editor.Get(r.PathValue("id"))
	if err != nil {
		return err
	}
	return writeKey(w, http.StatusOK, keyAnswer{Document: key.Document(time.Now())})
}

// patchKey is PATCH /v1/keys/{id}.
func (s *Server) patchKey(w http.ResponseWriter, r *http.Request) error {
	editor, err := s.editor(r)
	if err != nil {
		return err
	}
	var in auth.Members
	if _, err := rest.DecodeBody(w, r, rest.MaxReport, &in); err != nil {
		return err
	}
	now := time.Now()
	key, changes, err := editor.Update(r.PathValue("id"), now, func(key *auth.Key) error { return in.Apply(key, now) })
	if err != nil {
		return err
	}
	if len(changes) > 0 {
		s.logKey(r, "key changed", &key, "changes", strings.Join(changes, ", "))
	}
	return writeKey(w, http.StatusOK, keyAnswer{Document: key.Document(now), Notes: s.planNotes(&key)})
}

// deleteKey is DELETE /v1/keys/{id}. The key is listed as revoked.
func (s *Server) deleteKey(w http.ResponseWriter, r *http.Request) error {
	editor, err := s.editor(r)
	if err != nil {
		return err
	}
	key, revoked, err := editor.Revoke(r.PathValue("id"), time.Now())
	if err != nil {
		return err
	}
	if revoked {
		s.logKey(r, "key revoked", &key)
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// listKeys is GET /v1/keys. The cursor is the id of the last key of the page before.
func (s *Server) listKeys(w http.ResponseWriter, r *http.Request) error {
	editor, err := s.editor(r)
	if err != nil {
		return err
	}
	query, err := rest.ReadQuery(r, "tenant", "team", "role", "state", "limit", "cursor")
	if err != nil {
		return err
	}
	limit := rest.DefaultKeysPage
	if query.Has("limit") {
		if limit, err = strconv.Atoi(query.Get("limit")); err != nil || limit < 1 || limit > rest.MaxKeysPage {
			return rest.BadParameter("limit", "must be a number from 1 to "+strconv.Itoa(rest.MaxKeysPage))
		}
	}
	if state := query.Get("state"); query.Has("state") && !slices.Contains(keyStates, state) {
		return rest.BadParameter("state", "must be one of "+strings.Join(keyStates, ", "))
	}
	list, err := editor.List()
	if err != nil {
		return err
	}
	if cursor := query.Get("cursor"); cursor != "" {
		last := slices.IndexFunc(list, func(key auth.Key) bool { return key.ID == cursor })
		if last < 0 {
			return rest.BadParameter("cursor", "is not one of this list, or no longer; start again without it")
		}
		list = list[last+1:]
	}
	out := struct {
		Keys []auth.Document `json:"keys"`
		Next string          `json:"next_cursor,omitzero"`
	}{Keys: []auth.Document{}}
	now := time.Now()
	for i := range list {
		doc := list[i].Document(now)
		if !matches(query.Get("tenant"), doc.Tenant) || !matches(query.Get("team"), list[i].Team) || !matches(query.Get("role"), string(doc.Role)) || !matches(query.Get("state"), doc.State) {
			continue
		}
		if len(out.Keys) == limit {
			out.Next = out.Keys[limit-1].ID
			query.Set("cursor", out.Next)
			w.Header().Set("Link", "</v1/keys?"+query.Encode()+`>; rel="next"`)
			break
		}
		out.Keys = append(out.Keys, doc)
	}
	body, err := json.Marshal(out, json.Deterministic(true))
	if err != nil {
		return err
	}
	return rest.WriteJSON(w, http.StatusOK, body)
}

// matches reports whether a member is the one asked for; empty asks for any.
func matches(asked, member string) bool { return asked == "" || asked == member }

// planNotes warns of a plan that does not exist.
func (s *Server) planNotes(key *auth.Key) []string {
	if key.Plan == "" || s.Settings().Plans[key.Plan] != nil {
		return nil
	}
	return []string{"The configuration has no plan " + key.Plan + ", so it limits nothing now."}
}

// logKey logs what the caller of a request has done with a key.
func (s *Server) logKey(r *http.Request, what string, key *auth.Key, more ...any) {
	who := rest.IdentityOf(r)
	s.Logger.Info(what, append([]any{"key", key.ID, "name", key.Name, "tenant", key.Tenant, "by", who.Name, "by_key", who.Key, "address", rest.ClientAddress(r).String()}, more...)...)
}

func writeKey(w http.ResponseWriter, status int, out keyAnswer) error {
	body, err := json.Marshal(out, json.Deterministic(true))
	if err != nil {
		return err
	}
	return rest.WriteJSON(w, status, body)
}
