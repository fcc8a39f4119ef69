package web

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/web/auth"
)

const (
	defaultTTL = 15 * time.Minute
	maxTTL     = 24 * time.Hour
)

// createToken is POST /v1/tokens: a token for a browser, good for just what is listed.
func (s *Server) createToken(w http.ResponseWriter, r *http.Request) {
	if s.Auth == nil {
		s.fail(w, r, jobs.NewProblem(jobs.Unsupported, "No tokens here", "This hub has no place for keys, and asks for no token either."))
		return
	}
	in := struct {
		Jobs    []string      `json:"jobs"`
		Queues  []string      `json:"queues"`
		Tags    []string      `json:"tags"`
		Actions []auth.Action `json:"actions"`
		TTL     string        `json:"ttl"`
	}{Actions: []auth.Action{auth.Watch}, TTL: defaultTTL.String()}
	if _, err := decodeBody(w, r, maxReport, &in); err != nil {
		s.fail(w, r, err)
		return
	}
	grant, err := grantOf(in.Jobs, in.Queues, in.Tags, in.Actions)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	ttl, err := time.ParseDuration(in.TTL)
	if err != nil || ttl < time.Second || ttl > maxTTL {
		s.fail(w, r, invalidMember("/ttl", `must be a duration like "15m", from 1s to 24h`))
		return
	}
	who := identity(r)
	for _, a := range grant.Actions {
		if !who.May(a, auth.Target{}) {
			s.fail(w, r, notAllowed(who, a))
			return
		}
	}
	token, until, err := s.Auth.Token(who, grant, time.Now().Add(ttl))
	if errors.Is(err, auth.ErrTooLarge) {
		err = jobs.NewProblem(jobs.TooLarge, "Token too large", "Name fewer jobs, queues and tags.")
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	body, err := json.Marshal(struct {
		Token   string    `json:"token"`
		Expires time.Time `json:"expires_at"`
	}{token, until})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, body)
}

func grantOf(ids, queues, tags []string, actions []auth.Action) (g auth.Grant, err error) {
	switch n := len(ids) + len(queues) + len(tags); {
	case n == 0:
		return g, invalidMember("", "needs jobs, queues or tags that the token is good for")
	case n > maxGranted:
		return g, invalidMember("", "takes up to "+strconv.Itoa(maxGranted)+" jobs, queues and tags")
	case len(actions) == 0 || len(actions) > len(auth.Grantable):
		return g, invalidMember("/actions", `must be one or both of "watch" and "cancel"`)
	}
	for i, text := range ids {
		id, err := parseID(text)
		if err != nil {
			return g, invalidMember("/jobs/"+strconv.Itoa(i), "must be the id of a job")
		}
		g.Jobs = append(g.Jobs, id)
	}
	for i, queue := range queues {
		if !jobs.WellFormedName(queue) {
			return g, invalidMember("/queues/"+strconv.Itoa(i), "must be "+jobs.NameRule)
		}
	}
	for i, tag := range tags {
		if !jobs.WellFormedTag(tag) {
			return g, invalidMember("/tags/"+strconv.Itoa(i), "must be a tag of a job")
		}
	}
	for i, a := range actions {
		if !slices.Contains(auth.Grantable, a) {
			return g, invalidMember("/actions/"+strconv.Itoa(i), `must be "watch" or "cancel"`)
		}
	}
	g.Queues, g.Tags, g.Actions = queues, tags, actions
	return g, nil
}
