package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"jobhub/jobs"
	"jobhub/jobs/engine/commit"
	"jobhub/jobs/engine/transition"
)

// Accepted is the answer to a submission.
type Accepted struct {
	Job      jobs.Job // as of its first event; as of now if Replayed or Existing
	Position int64    // in its queue, from 1; 0 if it is not queued
	Replayed bool     // the idempotency key was bound to this job before
	Existing bool     // there was such a job already, and no new one was made
}

// Submit accepts a job: when it returns without error, the job is durable. If ctx ends before
// the job is handed to the store, the error is that of ctx and nothing was stored; later the
// end of ctx has no effect. That is true of all methods that change something. ErrConflict
// with status 422 if the idempotency key was used for another request.
func (e *Engine) Submit(ctx context.Context, s jobs.Spec) (Accepted, error) {
	job, err := e.newJob(s)
	if err == nil {
		err = e.checkHidden(&s)
	}
	if err == nil {
		s.Tenant, s.Queue = job.Tenant, job.Queue
		err = e.mention(&s)
	}
	if err != nil {
		return Accepted{}, err
	}
	return e.submit(ctx, s, e.insertion(job, s))
}

// checkHidden refuses an input in which credentials are hidden, because it was copied from a
// page or answer: the requests would send the placeholder.
func (e *Engine) checkHidden(s *jobs.Spec) error {
	if h, _ := e.attempts.handler(s.Kind); !h.Requests || s.ByEngine.Trusted || len(s.Via.Upstreams) > 0 {
		return nil
	}
	var refused []error
	for _, at := range jobs.Placeholders(s.Input, e.masked.get()) {
		refused = append(refused, jobs.Invalid("/input"+at, "stands for a hidden value; write the value or leave it out"))
	}
	return jobs.JoinProblems(refused...)
}

// insertion is the change that submits a job.
func (e *Engine) insertion(job jobs.Job, s jobs.Spec) *jobs.Change {
	c := transition.Accept(job)
	c.Key, c.After, c.Retry, c.Peers = s.Key, s.After, s.ByEngine.Retry, e.uniquePeers(&job)
	return c
}

func (e *Engine) submit(ctx context.Context, s jobs.Spec, c *jobs.Change) (Accepted, error) {
	if err := e.Queues.limitDeliveries(ctx, c.Job.Tenant, len(c.Job.Callbacks)); err != nil {
		return Accepted{}, err
	}
	o := commit.NewOp(c)
	err := e.commits.Submit(ctx, o)
	if unknown, ok := errors.AsType[*jobs.UnknownDependency](err); ok {
		i := slices.Index(s.After, unknown.ID)
		return Accepted{}, jobs.Invalid(fmt.Sprintf("/after/%d", i), "there is no such job")
	}
	if taken, ok := errors.AsType[*jobs.KeyTaken](err); ok {
		if !taken.Same {
			p := jobs.NewProblem(jobs.Conflict, "Idempotency key in use", "This Idempotency-Key was used for another request. Use a new key for a new request.")
			p.Status = 422
			return Accepted{}, p
		}
		return Accepted{Job: taken.Job, Replayed: true}, nil
	}
	if existing, ok := errors.AsType[*jobs.Existing](err); ok {
		return Accepted{Job: existing.Job, Existing: true}, nil
	}
	if err != nil {
		return Accepted{}, commit.Problem(err)
	}
	return Accepted{Job: o.Change.Job, Position: o.Change.Position}, nil
}

// checkOutside checks what callers may not submit: deliveries, bulk jobs, and callbacks that
// can't be called.
func (e *Engine) checkOutside(s *jobs.Spec) error {
	switch s.Kind {
	case kindBulk:
		p := jobs.Invalid("/kind", "is made by POST /v1/jobs:bulk only")
		p.Code, p.Type = jobs.Unsupported, "urn:jobhub:problem:unsupported"
		return p
	case jobs.KindWebhook:
		if _, ok := e.attempts.handler(jobs.KindWebhook); ok {
			return jobs.Invalid("/kind", "deliveries are made by the hub; give a job callbacks, or retry a delivery")
		}
	}
	return e.attempts.checkCallbacks("/callbacks", s.Callbacks)
}

func (e *Engine) newJob(s jobs.Spec) (jobs.Job, error) {
	s = s.WithDefaults()
	if !s.ByEngine.Trusted {
		if err := s.Check(); err != nil {
			return jobs.Job{}, err
		}
		if err := e.checkOutside(&s); err != nil {
			return jobs.Job{}, err
		}
	}
	depth := jobs.MaxDepth
	if s.ByEngine.Trusted {
		depth += jobs.ExtraDepth
	}
	var err error
	if s.Input, err = jobs.JsonMember("/input", s.Input, depth); err != nil {
		return jobs.Job{}, err
	}
	h, _ := e.attempts.handler(s.Kind)
	if err := e.attempts.check(h, s.Input, s.Via); err != nil {
		return jobs.Job{}, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return jobs.Job{}, err
	}
	whole := s.Input
	var hidden jobs.Credentials
	if h.Requests {
		s.Via.Mask = e.masked.get()
		s.Input, hidden = jobs.SplitCredentials(s.Input, slices.Concat(s.Via.Headers, s.Via.Mask))
	}
	now := time.Now().Truncate(time.Millisecond)
	j := jobs.Job{ID: id, Tenant: s.Tenant, Kind: s.Kind, Queue: s.Queue, State: jobs.Queued, Priority: s.Priority, Tags: s.Tags, Input: s.Input, Credentials: hidden,
		OrderingKey: s.OrderingKey, FairKey: s.FairKey, MaxAttempts: s.MaxAttempts, Backoff: s.Backoff, Timeout: s.Timeout,
		QueueTimeout: s.QueueTimeout, NeverRerun: s.NeverRerun, Retention: s.Retention, RetryOf: s.RetryOf, Parent: s.Parent, Caller: s.Caller, Via: s.Via, Callbacks: s.Callbacks, Result: s.ByEngine.Result, Schedule: s.ByEngine.Schedule, CreatedAt: now}
	if s.Unique != nil {
		same := j
		same.Input = whole
		j.Unique, j.UniqueKey = s.Unique, s.Unique.Key(&same)
	}
	if j.QueueTimeout == 0 {
		j.QueueTimeout = time.Duration(e.Queues.Settings(j.Tenant, j.Queue).QueueTimeout)
	}
	start := now
	if s.Delay > 0 {
		s.RunAt = now.Add(s.Delay)
	}
	if s.RunAt.After(now) {
		start = s.RunAt.Add(time.Millisecond - 1).Truncate(time.Millisecond) // never early
		j.State, j.ScheduledAt, j.WakeAt = jobs.Scheduled, start, start
	}
	if len(s.After) > 0 {
		j.State, j.WakeAt = jobs.Waiting, time.Time{}
		return j, nil
	}
	if j.QueueTimeout > 0 {
		j.ExpiresAt = start.Add(j.QueueTimeout)
		if j.State == jobs.Queued {
			j.WakeAt = j.ExpiresAt
		}
	}
	return j, nil
}
