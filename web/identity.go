package web

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/auth"
)

// errAnonymous is what identify returns, itself, where keys are configured and the
// request shows no credentials: a WebSocket connection may still show some in its hello.
var errAnonymous error = jobs.NewProblem(unauthorized, "Credentials needed",
	"Send Authorization: Bearer and a key. jobhub token create makes one on the hub's machine; commands take it from --token or JOBHUB_TOKEN.")

var errExpired error = jobs.NewProblem(unauthorized, "Expired", "The key or token has expired; get another.")

// sessionCookie is the dashboard's; it holds no key.
const sessionCookie = "jobhub_session"

// tokenProtocol begins an offered subprotocol that carries a key or token in base64url,
// as browsers can send no header with a WebSocket.
const tokenProtocol = "jobhub.token."

// identify returns who sends a request: by Authorization, an offered subprotocol or the
// dashboard's cookie, whichever comes first. Without keys it is everybody's auth.Local.
func (s *Server) identify(r *http.Request) (auth.Identity, error) {
	if job := callerOf(r.Context()); job != nil {
		return actor(job), nil
	}
	now := time.Now()
	if !s.keyed(now) {
		return auth.Local, nil
	}
	bearer, given, err := bearerOf(r)
	if err != nil {
		return auth.Identity{}, err
	}
	if given {
		who, err := s.authenticate(callerAddress(r), bearer, now)
		return who, refused(err)
	}
	if cookie, err := r.Cookie(sessionCookie); err == nil {
		who, err := s.Auth.Resume(cookie.Value, now)
		switch {
		case err == nil && changes(r) && !s.sameOrigin(r):
			return auth.Identity{}, jobs.NewProblem(forbidden, "Foreign origin", "With the dashboard's cookie, only its own pages may change anything. Use a key.")
		case err == nil:
			return who, nil
		case !lapsed(err):
			return auth.Identity{}, err
		}
	}
	return auth.Identity{}, errAnonymous
}

// keyed reports whether callers have to say who they are.
func (s *Server) keyed(now time.Time) bool { return s.Auth != nil && s.Auth.Configured(now) }

// bearerOf is the key or token that a request shows outright.
func bearerOf(r *http.Request) (bearer string, given bool, err error) {
	malformed := jobs.NewProblem(unauthorized, "Malformed credentials", "Send one header Authorization: Bearer with a key or token.")
	if values := r.Header.Values("Authorization"); len(values) > 0 {
		scheme, bearer, ok := strings.Cut(values[0], " ")
		if !ok || len(values) > 1 || !strings.EqualFold(scheme, "Bearer") {
			return "", true, malformed
		}
		return strings.TrimSpace(bearer), true, nil
	}
	for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
		for offer := range strings.SplitSeq(line, ",") {
			if coded, ok := strings.CutPrefix(strings.TrimSpace(offer), tokenProtocol); ok {
				text, err := base64.RawURLEncoding.DecodeString(coded)
				if err != nil {
					return "", true, malformed
				}
				return string(text), true, nil
			}
		}
	}
	return "", false, nil
}

func lapsed(err error) bool {
	return errors.Is(err, auth.ErrUnknown) || errors.Is(err, auth.ErrRevoked) || errors.Is(err, auth.ErrExpired)
}

// refused is the problem of credentials that are no good. Another error stays as it is.
func refused(err error) error {
	switch {
	case errors.Is(err, auth.ErrUnknown):
		return jobs.NewProblem(unauthorized, "Unknown credentials", "This hub knows no such key or token.")
	case errors.Is(err, auth.ErrRevoked):
		return jobs.NewProblem(unauthorized, "Revoked", "The key was revoked; ask for another.")
	case errors.Is(err, auth.ErrExpired):
		return errExpired
	}
	return err
}

// challenge is the WWW-Authenticate header (RFC 6750, section 3) of an answer.
func challenge(err error) string {
	if err == errAnonymous {
		return "Bearer"
	}
	return `Bearer error="invalid_token"`
}

type identityKey struct{}

// identity is who sends a request that has passed may or mayPage.
func identity(r *http.Request) auth.Identity { return r.Context().Value(identityKey{}).(auth.Identity) }

// tenant is whose jobs the caller may see.
func tenant(r *http.Request) string { return identity(r).Tenant }

// caller is in whose name a request makes jobs.
func caller(r *http.Request) string { return callerText(identity(r)) }

// callerText is what jobs.Spec.Caller says of somebody: role and name, and nothing that
// opens the hub.
func callerText(who auth.Identity) string { return string(who.Role) + " " + who.Name }

// actor is who a job acts for when it asks the hub for something: what its caller was
// allowed to do when handing it in. One without a caller may do nothing.
func actor(job *jobs.Job) auth.Identity {
	role, name, _ := strings.Cut(job.Caller, " ")
	return auth.Identity{Tenant: job.Tenant, Role: auth.Role(role), Name: name}
}

// may lets those call a handler who may do a thing to everything, and holders of a
// token who may do it to the job in the path.
func (s *Server) may(a auth.Action, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, err := s.identify(r)
		if err == nil {
			err = s.allow(r, who, a)
		}
		if err != nil {
			s.fail(w, r, err)
			return
		}
		h(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, who)))
	}
}

// mayPage is may for the pages: it shows the login page to those who are not logged in.
func (s *Server) mayPage(a auth.Action, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, err := s.identify(r)
		if err == errAnonymous {
			toLogin(w, r)
			return
		}
		if err == nil {
			err = s.allow(r, who, a)
		}
		if err != nil {
			s.failPage(w, r, err)
			return
		}
		h(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, who)))
	}
}

func (s *Server) allow(r *http.Request, who auth.Identity, a auth.Action) error {
	if who.May(a, auth.Target{}) {
		return nil
	}
	if who.Grant == nil || !strings.Contains(r.Pattern, "/v1/jobs/{id}") {
		return notAllowed(who, a)
	}
	id, err := jobID(r)
	if err != nil {
		return err
	}
	_, _, err = s.jobFor(r.Context(), who, a, id)
	return err
}

// jobFor reads, in brief, a job to which the caller may do a thing. One that it may do nothing to is
// like one that does not exist.
func (s *Server) jobFor(ctx context.Context, who auth.Identity, a auth.Action, id jobs.ID) (jobs.Job, jobs.Position, error) {
	job, pos, _, err := jobs.Brief(ctx, s.Store, who.Tenant, id)
	on := jobTarget(&job)
	switch {
	case errors.Is(err, jobs.ErrNotFound) || errors.Is(err, jobs.ErrGone):
		on = auth.Target{Job: id}
	case err != nil:
		return job, pos, err
	}
	for _, known := range []auth.Action{a, auth.Watch, auth.Cancel} {
		if !who.May(known, on) {
			continue
		}
		if known != a && err == nil {
			err = notAllowed(who, a)
		}
		return job, pos, err
	}
	return jobs.Job{}, pos, jobs.ErrNotFound
}

func jobTarget(j *jobs.Job) auth.Target { return auth.Target{Job: j.ID, Queue: j.Queue, Tags: j.Tags} }

// filterTarget is what a subscription is about. Of one to a job, read the job and use
// jobFor, as the token may name its queue or tags.
func filterTarget(f hub.Filter) auth.Target {
	t := auth.Target{Job: f.Job, Queue: f.Queue}
	if f.Tag != "" {
		t.Tags = []string{f.Tag}
	}
	return t
}

// seesHub reports whether the admins of a tenant see the hub as a whole, from inside: those
// of the default tenant run it. Others see what is their tenant's.
func seesHub(tenant string) bool { return tenant == jobs.DefaultTenant }

// errNotTheirs answers admins of other tenants.
var errNotTheirs error = jobs.NewProblem(forbidden, "Not allowed", "This shows the hub from inside, to admins of the tenant %s only.", jobs.DefaultTenant)

// inside is for pages that show the hub from inside.
func (s *Server) inside(h http.HandlerFunc) http.HandlerFunc {
	return s.mayPage(auth.Administer, func(w http.ResponseWriter, r *http.Request) {
		if !seesHub(tenant(r)) {
			s.failPage(w, r, errNotTheirs)
			return
		}
		h(w, r)
	})
}

func notAllowed(who auth.Identity, a auth.Action) error {
	if who.Grant != nil {
		return jobs.NewProblem(forbidden, "Not allowed", "This token is good for certain jobs only, and not for this.")
	}
	return jobs.NewProblem(forbidden, "Not allowed", "A key with the role %s is not for this; it needs one that may %s.", who.Role, a)
}
