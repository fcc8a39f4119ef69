package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"jobhub/jobs"
)

// The limits of a tenant's queue of deliveries, unless it is configured otherwise:
// deliveries don't take all slots, nor one slow receiver all of theirs.
const (
	deliveriesAtOnce     = 32
	deliveriesToReceiver = 8
)

// checkCallbacks asks the handler of deliveries whether it would call these URLs.
func (a *attempts) checkCallbacks(pointer string, list []jobs.Callback) error {
	if len(list) == 0 {
		return nil
	}
	h, ok := a.handler(jobs.KindWebhook)
	if !ok {
		p := jobs.Invalid(pointer, "this hub sends no callbacks; leave it out")
		p.Code, p.Type = jobs.Unsupported, "urn:jobhub:problem:unsupported"
		return p
	}
	for i, c := range list {
		err := a.check(h, appendDelivery(nil, "", &c, "", jobs.Value("null")), jobs.Via{})
		if p, ok := errors.AsType[*jobs.Problem](err); ok {
			at := *p
			at.Errors = slices.Clone(p.Errors)
			for k := range at.Errors {
				at.Errors[k].Pointer = fmt.Sprintf("%s/%d", pointer, i) + strings.TrimPrefix(at.Errors[k].Pointer, "/input")
			}
			err = &at
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// SetCallbacks replaces the callbacks of a queue: they receive the events of all its jobs,
// besides the callbacks that a job names itself. A disabled one stays disabled until it is
// removed, enabled, or a delivery to it is retried and accepted.
func (q *Queues) SetCallbacks(ctx context.Context, tenant, queue string, list []jobs.Callback) error {
	if err := q.attempts.checkCallbacks("/callbacks", list); err != nil {
		return err
	}
	if err := q.limitDeliveries(ctx, tenant, len(list)); err != nil {
		return err
	}
	return q.Configure(ctx, tenant, queue, func(s *jobs.QueueSettings) error {
		old := s.Callbacks
		s.Callbacks = slices.Clone(list)
		for i := range s.Callbacks {
			c := &s.Callbacks[i]
			k := slices.IndexFunc(old, func(o jobs.Callback) bool { return o.URL == c.URL })
			if c.Disabled = k >= 0 && old[k].Disabled; c.Disabled {
				c.DisabledAt = old[k].DisabledAt
			}
		}
		return nil
	})
}

// EnableCallback enables a disabled callback of a queue. Events of the time in which it was
// disabled are not sent. A problem with NotFound if the queue has no such callback.
func (q *Queues) EnableCallback(ctx context.Context, tenant, queue, url string) error {
	return q.Configure(ctx, tenant, queue, func(s *jobs.QueueSettings) error {
		i := slices.IndexFunc(s.Callbacks, func(c jobs.Callback) bool { return c.URL == url })
		if i < 0 {
			return jobs.NewProblem(jobs.NotFound, "No such callback", "The queue %s has no callback of that address any more.", queue)
		}
		s.Callbacks[i].SetEnabled(true)
		return nil
	})
}

// limitDeliveries sets the limits of a tenant's queue of deliveries before the first job
// enters it.
func (q *Queues) limitDeliveries(ctx context.Context, tenant string, callbacks int) error {
	q.mu.RLock()
	_, known := q.settings[jobs.QueueName{Tenant: tenant, Name: jobs.CallbackQueue}]
	q.mu.RUnlock()
	if known || callbacks == 0 {
		return nil
	}
	return q.Configure(ctx, tenant, jobs.CallbackQueue, func(s *jobs.QueueSettings) error {
		s.Concurrency, s.PerKey = deliveriesAtOnce, deliveriesToReceiver
		return nil
	})
}
