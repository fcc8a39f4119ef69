package rest

import (
	"context"
	"errors"
	"net/http"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/auth"
)

// This file decides who may do what.

// Handler answers a request, or returns why not: then it has written nothing.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Public lets anybody call a handler.
func (s *Base) Public(h Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			s.Fail(w, r, err)
		}
	}
}

// May lets those call a handler who may do a thing to everything.
func (s *Base) May(a auth.Action, h Handler) http.HandlerFunc {
	return s.Public(s.Authenticated(h, func(_ *http.Request, who auth.Identity) error { return Allow(who, a) }))
}

// MayJob is May for the handlers of one job, {id} in the path: also holders of a token who
// may do the thing to that job can call them.
func (s *Base) MayJob(a auth.Action, h Handler) http.HandlerFunc {
	return s.Public(s.Authenticated(h, func(r *http.Request, who auth.Identity) error {
		if who.Grant == nil {
			return Allow(who, a)
		}
		id, err := JobID(r)
		if err == nil {
			_, _, err = s.AuthorizedJob(r.Context(), who, a, id)
		}
		return err
	}))
}

// Authenticated identifies who sends a request and calls h unless they are refused.
func (s *Base) Authenticated(h Handler, refuse func(*http.Request, auth.Identity) error) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		who, err := s.Identify(r)
		if err == nil {
			err = refuse(r, who)
		}
		if err != nil {
			return err
		}
		return h(w, r.WithContext(WithIdentity(r.Context(), who)))
	}
}

// Allow refuses those who may not do a thing to everything.
func Allow(who auth.Identity, a auth.Action) error {
	if !who.May(a, auth.Target{}) {
		return NotAllowed(who, a)
	}
	return nil
}

// AuthorizedJob reads, in brief, a job to which the caller may do a thing. One that it may do
// nothing to is like one that does not exist.
func (s *Base) AuthorizedJob(ctx context.Context, who auth.Identity, a auth.Action, id jobs.ID) (jobs.Job, jobs.Position, error) {
	job, pos, _, err := jobs.Brief(ctx, s.Store, who.Tenant, id)
	on := JobTarget(&job)
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
			err = NotAllowed(who, a)
		}
		return job, pos, err
	}
	return jobs.Job{}, pos, jobs.ErrNotFound
}

func JobTarget(j *jobs.Job) auth.Target { return auth.Target{Job: j.ID, Queue: j.Queue, Tags: j.Tags} }

// FilterTarget is what a subscription is about. Of one to a job, read the job and use
// jobFor, as the token may name its queue or tags.
func FilterTarget(f hub.Filter) auth.Target {
	t := auth.Target{Job: f.Job, Queue: f.Queue}
	if f.Tag != "" {
		t.Tags = []string{f.Tag}
	}
	return t
}

func NotAllowed(who auth.Identity, a auth.Action) error {
	if who.Grant != nil {
		return jobs.NewProblem(Forbidden, "Not allowed", "This token is good for certain jobs only, and not for this.")
	}
	return jobs.NewProblem(Forbidden, "Not allowed", "A key with the role %s is not for this; it needs one that may %s.", who.Role, a)
}

// IsHubTenant reports whether the admins of a tenant see the hub as a whole, from inside: those
// of the default tenant run it. Others see what is their tenant's.
func IsHubTenant(tenant string) bool { return tenant == jobs.DefaultTenant }

// ErrHubTenantOnly answers admins of other tenants.
var ErrHubTenantOnly error = jobs.NewProblem(Forbidden, "Not allowed", "This shows the hub from inside, to admins of the tenant %s only.", jobs.DefaultTenant)
