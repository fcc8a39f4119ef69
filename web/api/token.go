package api

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/rest"
)

const (
	defaultTTL = 15 * time.Minute
	maxTTL     = 24 * time.Hour
)

// createToken is POST /v1/tokens: it issues a token that allows only what is listed.
func (s *Server) createToken(w http.ResponseWriter, r *http.Request) error {
	if s.Auth == nil {
		return jobs.NewProblem(jobs.Unsupported, "No tokens here", "This hub has no keys, so nobody needs a token.")
	}
	in := struct {
		Jobs    []string      `json:"jobs"`
		Queues  []string      `json:"queues"`
		Tags    []string      `json:"tags"`
		Actions []auth.Action `json:"actions"`
		TTL     string        `json:"ttl"`
	}{Actions: []auth.Action{auth.Watch}, TTL: defaultTTL.String()}
	if _, err := rest.DecodeBody(w, r, rest.MaxReport, &in); err != nil {
		return err
	}
	grant, err := parseGrant(in.Jobs, in.Queues, in.Tags, in.Actions)
	if err != nil {
		return err
	}
	ttl, err := time.ParseDuration(in.TTL)
	if err != nil || ttl < time.Second || ttl > maxTTL {
		return rest.InvalidMember("/ttl", `must be a duration like "15m", from 1s to 24h`)
	}
	who := rest.IdentityOf(r)
	for _, a := range grant.Actions {
		if !who.May(a, auth.Target{}) {
			return rest.NotAllowed(who, a)
		}
	}
	token, until, err := s.Auth.Token(who, grant, time.Now().Add(ttl))
	if errors.Is(err, auth.ErrTooLarge) {
		err = jobs.NewProblem(jobs.TooLarge, "Token too large", "Name fewer jobs, queues and tags.")
	}
	if err != nil {
		return err
	}
	body, err := json.Marshal(struct {
		Token   string    `json:"token"`
		Expires time.Time `json:"expires_at"`
	}{token, until})
	if err != nil {
		return err
	}
	return rest.WriteJSON(w, http.StatusOK, body)
}

// parseGrant checks the members of a token request. Its error is a *jobs.Problem.
func parseGrant(ids, queues, tags []string, actions []auth.Action) (g auth.Grant, err error) {
	switch n := len(ids) + len(queues) + len(tags); {
	case n == 0:
		return g, rest.InvalidMember("", "needs jobs, queues or tags that the token is for")
	case n > rest.MaxGrantEntries:
		return g, rest.InvalidMember("", "takes up to "+strconv.Itoa(rest.MaxGrantEntries)+" jobs, queues and tags")
	case len(actions) == 0 || len(actions) > len(auth.Grantable):
		return g, rest.InvalidMember("/actions", `must be one or both of "watch" and "cancel"`)
	}
	for i, text := range ids {
		id, err := rest.ParseID(text)
		if err != nil {
			return g, rest.InvalidMember("/jobs/"+strconv.Itoa(i), "must be the id of a job")
		}
		g.Jobs = append(g.Jobs, id)
	}
	for i, queue := range queues {
		if !jobs.WellFormedName(queue) {
			return g, rest.InvalidMember("/queues/"+strconv.Itoa(i), "must be "+jobs.NameRule)
		}
	}
	for i, tag := range tags {
		if !jobs.WellFormedTag(tag) {
			return g, rest.InvalidMember("/tags/"+strconv.Itoa(i), "must be a tag of a job")
		}
	}
	for i, a := range actions {
		if !slices.Contains(auth.Grantable, a) {
			return g, rest.InvalidMember("/actions/"+strconv.Itoa(i), `must be "watch" or "cancel"`)
		}
	}
	g.Queues, g.Tags, g.Actions = queues, tags, actions
	return g, nil
}
