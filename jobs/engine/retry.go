package engine

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"jobhub/jobs"
)

// RetryOptions says how a job is retried. The zero value retries it unchanged.
type RetryOptions struct {
	Input   jobs.Value // another input
	Targets []string   // only these targets; the others keep their results
	Force   bool       // make another retry even if there is one
	Key     *jobs.Key  // idempotency key; nil if the caller sent none
	Caller  string     // who retries it, as in Spec.Caller
}

// Retry submits a copy of a job that has ended; ErrConflict if it has not. The old job then
// names the new one as its retry. If it already has a retry that is still stored, that one is
// returned. Callbacks are copied only if the same caller submitted the old job.
//
// Jobs that were cancelled only because the old one did not succeed are retried together with
// it, to run after the new one. If one of them is retried alone, its retry runs after the
// retries of the jobs that it depends on.
func (e *Engine) Retry(ctx context.Context, tenant string, id jobs.ID, again RetryOptions) (Accepted, error) {
	old, _, err := e.store.Job(ctx, tenant, id)
	if err != nil {
		return Accepted{}, err
	}
	if !old.State.Final() {
		return Accepted{}, jobs.NewProblem(jobs.Conflict, "Not finished", "The job is %s; only a finished job can be retried.", old.State)
	}
	input, via := old.Credentials.Join(old.Input), old.Via
	if again.Input != nil {
		if old.Kind == jobs.KindWebhook { // else a callback's secret would sign anything
			return Accepted{}, jobs.Invalid("/input", "a delivery is always retried unchanged; leave it out")
		}
		if input, err = jobs.JsonMember("/input", again.Input, jobs.MaxDepth); err != nil {
			return Accepted{}, err
		}
		if input, err = old.Credentials.Restore(old.Input, input, sameCaller(old.Caller, again.Caller), via.Headers); err != nil {
			return Accepted{}, jobs.ErrorUnder("/input", err)
		}
		again.Input = input
		via.Upstreams, via.Route, via.Headers = nil, "", nil // the operator opened these for requests of the route, not for an input that a caller wrote
	}
	s := retrySpec(&old, again)
	s.Input, s.Via = input, via
	if again.Targets != nil {
		if again.Input != nil {
			return Accepted{}, jobs.Invalid("/targets", "give input or targets, not both")
		}
		h, _ := e.attempts.handler(old.Kind)
		if h.Repeat == nil {
			return Accepted{}, jobs.Invalid("/targets", "a job of kind %s has no targets; leave it out", old.Kind)
		}
		bad := catchPanic(e.log, "the repetition of targets", old.ID, func() { s.ByEngine.Result, err = h.Repeat(&old, again.Targets) })
		if err = cmp.Or(bad, err); err != nil {
			return Accepted{}, err
		}
	}
	if old.Reason == jobs.ByDependency {
		if s.After, _, err = newDependencies(ctx, e.store, &old, nil); err != nil {
			return Accepted{}, err
		}
	}
	job, err := e.newJob(s)
	if err != nil {
		return Accepted{}, err
	}
	c := e.insertion(job, s)
	if old.State != jobs.Succeeded {
		along := &dependentRetries{engine: e, caller: again.Caller, retries: map[jobs.ID]jobs.ID{old.ID: job.ID}}
		if err := along.add(ctx, &old); err != nil {
			return Accepted{}, err
		}
		if len(along.changes) > 0 {
			c.Follow = func(*jobs.Job) []*jobs.Change { return along.changes }
		}
	}
	return e.submit(ctx, s, c)
}

// retrySpec is the submission that retries a job unchanged.
func retrySpec(old *jobs.Job, again RetryOptions) jobs.Spec {
	var callbacks []jobs.Callback
	if old.Kind == jobs.KindWebhook || sameCaller(old.Caller, again.Caller) { // another caller must not get bodies signed with these secrets
		callbacks = slices.Clone(old.Callbacks)
	}
	for i := range callbacks {
		callbacks[i].SetEnabled(true)
	}
	s := jobs.Spec{Kind: old.Kind, Queue: old.Queue, Input: old.Input, Priority: old.Priority, Tags: old.Tags, OrderingKey: old.OrderingKey, FairKey: old.FairKey,
		QueueTimeout: old.QueueTimeout, Timeout: old.Timeout, MaxAttempts: old.MaxAttempts, Backoff: old.Backoff, NeverRerun: old.NeverRerun,
		Retention: old.Retention, RetryOf: old.ID, Via: old.Via, Tenant: old.Tenant, Caller: again.Caller, Key: again.Key, Callbacks: callbacks,
		Unique: old.Unique, ByEngine: jobs.ByEngine{Schedule: old.Schedule, Retry: &jobs.Retry{Force: again.Force, Fingerprint: again.fingerprint()}}}
	if s.ByEngine.Trusted = old.Kind == jobs.KindWebhook; s.ByEngine.Trusted {
		s.Parent = old.Parent
	}
	return s
}

// sameCaller compares callers by their ids.
func sameCaller(a, b string) bool {
	a, _, _ = strings.Cut(a, " ")
	b, _, _ = strings.Cut(b, " ")
	return a == b
}
