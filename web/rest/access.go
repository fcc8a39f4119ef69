package rest

import (
	"context"
	"errors"
	"net/http"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/auth"
	"jobhub/web/stages"
)

// This file decides which callers may use a handler (authorization).

// Handler answers a request. If it returns an error, it has written nothing, and its caller
// answers with the error.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Public lets everybody call a handler.
func (s *Base) Public(h Handler) http.HandlerFunc { return s.answer(Everybody(h)) }

// answer calls a handler, and answers with its error.
func (s *Base) answer(h Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			s.Fail(w, r, err)
		}
	}
}

// Everybody returns a handler that is called for every caller. It is not called for a request
// that is only explained.
func Everybody(h Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		rec := stages.Of(r.Context())
		rec.Pass(stages.Who, "everybody may send it")
		if rec.Explains() {
			rec.Answer(stages.Upstream, "the hub itself answers")
			return nil
		}
		return h(w, r)
	}
}

// May lets callers use a handler that may do an action on everything in their tenant.
func (s *Base) May(a auth.Action, h Handler) http.HandlerFunc {
	return s.answer(s.Authenticated(h, func(_ *http.Request, who auth.Identity) error { return Allow(who, a) }))
}

// MayOr is May that also lets other callers in.
func (s *Base) MayOr(a auth.Action, others func(who *auth.Identity) bool, h Handler) http.HandlerFunc {
	return s.answer(s.Authenticated(h, func(_ *http.Request, who auth.Identity) error {
		if others(&who) {
			return nil
		}
		return Allow(who, a)
	}))
}

// Limited is May for handlers that cause work: the limits of the caller count for them.
func (s *Base) Limited(a auth.Action, h Handler) http.HandlerFunc {
	return s.answer(s.authenticated(s.Identify, func(_ *http.Request, who auth.Identity) error { return Allow(who, a) }, true, h))
}

// MayAny lets every caller with a key of its own, or a token of an identity provider, use a
// handler, which decides what it shows.
func (s *Base) MayAny(h Handler) http.HandlerFunc {
	return s.answer(s.Authenticated(h, func(_ *http.Request, who auth.Identity) error {
		if who.Grant != nil {
			return NotAllowed(who, auth.Watch)
		}
		return nil
	}))
}

// MayJob is May for handlers of one job, {id} in the path: a token is enough if it allows the
// action on that job, and a caller without a key of the hub may watch and cancel its own jobs.
// A job that was made without credentials, on a route that is open to everybody, is open to
// everybody who knows its id.
func (s *Base) MayJob(a auth.Action, h Handler) http.HandlerFunc {
	allowed := func(r *http.Request, who auth.Identity) error {
		if who.Grant == nil && who.Subject == "" {
			return Allow(who, a)
		}
		id, err := JobID(r)
		if err == nil {
			_, _, err = s.AuthorizedJob(r.Context(), who, a, id)
		}
		return err
	}
	identify := func(r *http.Request) (auth.Identity, error) {
		who, err := s.Identify(r)
		if err == ErrAnonymous && allowed(r, auth.Anonymous) == nil {
			return auth.Anonymous, nil
		}
		return who, err
	}
	return s.answer(s.authenticated(identify, allowed, false, h))
}

// Authenticated identifies the caller of a request, asks refuse, and calls h if that returns
// nil. h finds the caller with IdentityOf. It is not called for a request that is only
// explained.
func (s *Base) Authenticated(h Handler, refuse func(*http.Request, auth.Identity) error) Handler {
	return s.authenticated(s.Identify, refuse, false, h)
}

// authenticated is Authenticated with another way to identify the caller. It is the stages Who,
// May and Limits of the hub's own paths.
func (s *Base) authenticated(identify func(*http.Request) (auth.Identity, error), refuse func(*http.Request, auth.Identity) error, limited bool, h Handler) Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		rec := stages.Of(r.Context())
		who, err := identify(r)
		if err != nil {
			rec.Refuse(stages.Who, err)
			return err
		}
		rec.Identified(who.Tenant, who.Consumer())
		rec.Pass(stages.Who, who.Method()+" of "+who.Name)
		if err := refuse(r, who); err != nil {
			rec.Refuse(stages.May, err)
			return err
		}
		rec.Pass(stages.May, "the caller may")
		if limited {
			verdict := s.Limit(r.Context(), w.Header(), ClientAddress(r), who)
			defer verdict.Release()
			if err := verdict.Err(); err != nil {
				rec.Refuse(stages.Limits, err)
				return err
			}
			rec.Pass(stages.Limits, Left(verdict))
		}
		if rec.Explains() {
			rec.Answer(stages.Upstream, "the hub itself answers")
			return nil
		}
		return h(w, r.WithContext(WithIdentity(r.Context(), who)))
	}
}

// Allow returns nil if who may do an action on everything in the tenant, else NotAllowed.
func Allow(who auth.Identity, a auth.Action) error {
	if !who.May(a, auth.Target{}) {
		return NotAllowed(who, a)
	}
	return nil
}

// AuthorizedJob reads a job, as jobs.Brief does, if the caller may do an action on it. A job
// that the caller may neither watch nor cancel is reported as not found.
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

// JobTarget returns the target of an action on a job.
func JobTarget(j *jobs.Job) auth.Target {
	return auth.Target{Job: j.ID, Queue: j.Queue, Tags: j.Tags, Caller: j.Caller}
}

// FilterTarget returns the target of a subscription. For one to a single job use AuthorizedJob
// instead, since a token may name the queue or the tags of the job.
func FilterTarget(f hub.Filter) auth.Target {
	t := auth.Target{Job: f.Job, Queue: f.Queue}
	if f.Tag != "" {
		t.Tags = []string{f.Tag}
	}
	return t
}

// NotAllowed returns the problem for a caller that may not do an action.
func NotAllowed(who auth.Identity, a auth.Action) error {
	if who.Grant != nil {
		return jobs.NewProblem(Forbidden, "Not allowed", "This token allows some actions on some jobs, and not this one.")
	}
	if who.Subject != "" {
		return jobs.NewProblem(Forbidden, "Not allowed", "A caller without a key of the hub may watch and cancel its own jobs only.")
	}
	return jobs.NewProblem(Forbidden, "Not allowed", "Role %s may not %s; use a key that may.", who.Role, a)
}

// IsHubTenant reports whether a tenant is the one whose admins operate the hub and see all of
// it. Admins of other tenants see their own tenant only.
func IsHubTenant(tenant string) bool { return tenant == jobs.DefaultTenant }

// ErrHubTenantOnly is the answer to admins of other tenants where all of the hub is shown.
var ErrHubTenantOnly error = jobs.NewProblem(Forbidden, "Not allowed", "Only admins of the tenant %s may see this, as it is about the whole hub.", jobs.DefaultTenant)
