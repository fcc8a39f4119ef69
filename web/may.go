package web

import (
	"context"
	"errors"
	"net/http"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/auth"
)

// This file decides who may do what.

// may lets those call a handler who may do a thing to everything.
func (s *Server) may(a auth.Action, h http.HandlerFunc) http.HandlerFunc {
	return s.guarded(s.fail, h, func(_ *http.Request, who auth.Identity) error { return allow(who, a) })
}

// mayJob is may for the handlers of one job, {id} in the path: also holders of a token who
// may do the thing to that job can call them.
func (s *Server) mayJob(a auth.Action, h http.HandlerFunc) http.HandlerFunc {
	return s.guarded(s.fail, h, func(r *http.Request, who auth.Identity) error {
		if who.Grant == nil {
			return allow(who, a)
		}
		id, err := jobID(r)
		if err == nil {
			_, _, err = s.jobFor(r.Context(), who, a, id)
		}
		return err
	})
}

// mayPage is may for the pages: it shows the login page to those who are not logged in.
func (s *Server) mayPage(a auth.Action, h http.HandlerFunc) http.HandlerFunc {
	fail := func(w http.ResponseWriter, r *http.Request, err error) {
		if err == errAnonymous {
			toLogin(w, r)
			return
		}
		s.failPage(w, r, err)
	}
	return s.guarded(fail, h, func(_ *http.Request, who auth.Identity) error { return allow(who, a) })
}

// anybody is for pages that all may read; they know who is logged in.
func (s *Server) anybody(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if who, err := s.identify(r); err == nil {
			r = r.WithContext(context.WithValue(r.Context(), identityKey{}, who))
		}
		h(w, r)
	}
}

// guarded identifies who sends a request and calls h unless they are refused.
func (s *Server) guarded(fail func(http.ResponseWriter, *http.Request, error), h http.HandlerFunc, refuse func(*http.Request, auth.Identity) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		who, err := s.identify(r)
		if err == nil {
			err = refuse(r, who)
		}
		if err != nil {
			fail(w, r, err)
			return
		}
		h(w, r.WithContext(context.WithValue(r.Context(), identityKey{}, who)))
	}
}

func allow(who auth.Identity, a auth.Action) error {
	if !who.May(a, auth.Target{}) {
		return notAllowed(who, a)
	}
	return nil
}

// jobFor reads, in brief, a job to which the caller may do a thing. One that it may do
// nothing to is like one that does not exist.
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

func notAllowed(who auth.Identity, a auth.Action) error {
	if who.Grant != nil {
		return jobs.NewProblem(forbidden, "Not allowed", "This token is good for certain jobs only, and not for this.")
	}
	return jobs.NewProblem(forbidden, "Not allowed", "A key with the role %s is not for this; it needs one that may %s.", who.Role, a)
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
