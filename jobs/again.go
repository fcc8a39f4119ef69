package jobs

import (
	"cmp"
	"context"
	"slices"
	"strings"
)

// Again says how a job is to be repeated. The zero value is: as it was.
type Again struct {
	Input   Value    // another input
	Targets []string // only these targets; the others keep what came of them
	Again   bool     // make another one although there is one
	Key     *Key     // idempotency key, if the caller sent one
	Caller  string   // in whose name

	tenant string
}

// Retry submits a job like one that has ended. The old one stays as it is, but names the new
// one as its retry; if it has one that is still kept, that is the answer. ErrConflict if it
// has not ended. Its callbacks come along only if it was the same caller's.
//
// Jobs that were cancelled only because the old one did not succeed are submitted again with
// it, to run after the new one. The retry of one of them alone runs after the retries that
// its parents have.
func (e *Engine) Retry(ctx context.Context, tenant string, id ID, again Again) (Accepted, error) {
	old, _, err := e.store.Job(ctx, tenant, id)
	if err != nil {
		return Accepted{}, err
	}
	if !old.State.Final() {
		return Accepted{}, newProblem(Conflict, "Not finished", "The job is %s; only a finished job can be retried.", old.State)
	}
	input, via := old.Credentials.Join(old.Input), old.Via
	if again.Input != nil {
		if old.Kind == KindWebhook { // else a callback's secret would sign anything
			return Accepted{}, invalid("/input", "a delivery is repeated as it was; leave it out")
		}
		if input, err = jsonMember("/input", again.Input, MaxDepth); err != nil {
			return Accepted{}, err
		}
		if input, err = old.Credentials.keep(old.Input, input, sameCaller(old.Caller, again.Caller), via.Headers); err != nil {
			return Accepted{}, under("/input", err)
		}
		again.Input = input
		via.Upstreams, via.Route, via.Headers = nil, "", nil // the operator opened them for requests of the route, not for what a caller writes
	}
	again.tenant = tenant
	s := e.again(&old, again)
	s.Input, s.Via = input, via
	if again.Targets != nil {
		if again.Input != nil {
			return Accepted{}, invalid("/targets", "give input or targets, not both")
		}
		h, _ := e.handler(old.Kind)
		if h.Repeat == nil {
			return Accepted{}, invalid("/targets", "a job of kind %s has no targets; leave it out", old.Kind)
		}
		bad := e.guarded("the repetition of targets", old.ID, func() { s.result, err = h.Repeat(&old, again.Targets) })
		if err = cmp.Or(bad, err); err != nil {
			return Accepted{}, err
		}
	}
	if old.Reason == ByParent {
		if s.After, _, err = e.ahead(ctx, &old, nil); err != nil {
			return Accepted{}, err
		}
	}
	job, err := e.newJob(s)
	if err != nil {
		return Accepted{}, err
	}
	c := e.insertion(job, s)
	if old.State != Succeeded {
		along, err := e.dependents(ctx, &old, job.ID, again)
		if err != nil {
			return Accepted{}, err
		}
		if len(along) > 0 {
			c.Follow = func(*Job) []*Change { return along }
		}
	}
	return e.submit(ctx, s, c)
}

// again is what the retry of a job submits, as the job was.
func (e *Engine) again(old *Job, again Again) Spec {
	var callbacks []Callback
	if old.Kind == KindWebhook || sameCaller(old.Caller, again.Caller) { // others must not have things signed with the caller's secrets
		callbacks = slices.Clone(old.Callbacks)
	}
	for i := range callbacks {
		callbacks[i].enable(true)
	}
	s := Spec{Kind: old.Kind, Queue: old.Queue, Input: old.Input, Priority: old.Priority, Tags: old.Tags, OrderingKey: old.OrderingKey, FairKey: old.FairKey,
		QueueTimeout: old.QueueTimeout, Timeout: old.Timeout, MaxAttempts: old.MaxAttempts, Backoff: old.Backoff, NeverRerun: old.NeverRerun,
		Retention: old.Retention, RetryOf: old.ID, Via: old.Via, Tenant: old.Tenant, Caller: again.Caller, Key: again.Key, Callbacks: callbacks,
		Unique: old.Unique, schedule: old.Schedule, retry: &Retry{Again: again.Again, As: again.asked()}}
	if s.inside = old.Kind == KindWebhook; s.inside {
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
