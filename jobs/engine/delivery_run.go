package engine

import (
	"context"
	"errors"
	"slices"

	"jobhub/jobs"
	"jobhub/jobs/engine/commit"
)

// Callback is the current callback of a delivery. It is disabled if its receiver answered 410
// or its queue no longer has it, unless this delivery is a retry that somebody asked for.
func (r *run) Callback(ctx context.Context) (jobs.Callback, error) {
	if len(r.Job().Callbacks) == 0 {
		return jobs.Callback{Disabled: true}, nil
	}
	c := r.Job().Callbacks[0]
	again := r.Job().RetryOf != (jobs.ID{})
	if c.Queue != "" {
		list := r.deliveries.queues.Settings(r.Job().Tenant, c.Queue).Callbacks
		i := slices.IndexFunc(list, func(now jobs.Callback) bool { return now.URL == c.URL })
		if i < 0 {
			c.Disabled = true
			return c, nil
		}
		c.Secrets, c.Disabled = list[i].Secrets, list[i].Disabled && !again
		return c, nil
	}
	if again || !c.SeveralPerJob() {
		return c, nil
	}
	parent, _, err := r.deliveries.store.Job(ctx, r.Job().Tenant, r.Job().Parent)
	if errors.Is(err, jobs.ErrNotFound) || errors.Is(err, jobs.ErrGone) {
		return c, nil
	}
	if i := callbackOf(&parent, c.URL); err == nil && i >= 0 {
		c.Disabled = parent.Callbacks[i].Disabled
	}
	return c, err
}

func callbackOf(j *jobs.Job, url string) int {
	return slices.IndexFunc(j.Callbacks, func(c jobs.Callback) bool { return c.URL == url })
}

// EnableCallback enables or disables the callback of this delivery, for further deliveries.
func (r *run) EnableCallback(ctx context.Context, on bool) error {
	if len(r.Job().Callbacks) == 0 {
		return nil
	}
	c := r.Job().Callbacks[0]
	if c.Queue == "" {
		return r.deliveries.enable(ctx, r.Job().Tenant, r.Job().Parent, c.URL, on)
	}
	return r.deliveries.queues.Configure(ctx, r.Job().Tenant, c.Queue, func(s *jobs.QueueSettings) error {
		for i := range s.Callbacks {
			if s.Callbacks[i].URL == c.URL {
				s.Callbacks[i].SetEnabled(on)
			}
		}
		return nil
	})
}

// enable enables or disables a callback of a job, and tries again if the job changes
// meanwhile.
func (d *deliveries) enable(ctx context.Context, tenant string, id jobs.ID, url string, on bool) error {
	for {
		job, _, err := d.store.Job(ctx, tenant, id)
		if errors.Is(err, jobs.ErrNotFound) || errors.Is(err, jobs.ErrGone) {
			return nil // there will be no further deliveries
		}
		if err != nil {
			return err
		}
		i := callbackOf(&job, url)
		if i < 0 || job.Callbacks[i].Disabled == !on {
			return nil
		}
		job.Callbacks = slices.Clone(job.Callbacks)
		job.Callbacks[i].SetEnabled(on)
		err = d.commits.DoWhenSpace(ctx, commit.NewOp(&jobs.Change{Job: job, If: jobs.Condition{State: job.State, Lease: job.Lease}, Fields: jobs.FieldCallbacks}))
		if !errors.Is(err, jobs.ErrConflict) {
			return err
		}
	}
}
