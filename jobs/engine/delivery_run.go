package engine

import (
	"context"
	"errors"
	"slices"

	"jobhub/jobs"
)

// Callback is the current callback of a delivery. It is disabled if its receiver answered 410
// or its queue no longer has it, unless this delivery is a retry that somebody asked for.
func (r *attemptRun) Callback(ctx context.Context) (jobs.Callback, error) {
	if len(r.job.Callbacks) == 0 {
		return jobs.Callback{Disabled: true}, nil
	}
	c := r.job.Callbacks[0]
	again := r.job.RetryOf != (jobs.ID{})
	if c.Queue != "" {
		list := r.engine.Settings(r.job.Tenant, c.Queue).Callbacks
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
	parent, _, err := r.engine.store.Job(ctx, r.job.Tenant, r.job.Parent)
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
func (r *attemptRun) EnableCallback(ctx context.Context, on bool) error {
	if len(r.job.Callbacks) == 0 {
		return nil
	}
	c := r.job.Callbacks[0]
	if c.Queue == "" {
		return r.engine.enableCallback(ctx, r.job.Tenant, r.job.Parent, c.URL, on)
	}
	return r.engine.Configure(ctx, r.job.Tenant, c.Queue, func(s *jobs.QueueSettings) error {
		for i := range s.Callbacks {
			if s.Callbacks[i].URL == c.URL {
				s.Callbacks[i].SetEnabled(on)
			}
		}
		return nil
	})
}

// enableCallback enables or disables a callback of a job, and tries again if the job changes
// meanwhile.
func (e *Engine) enableCallback(ctx context.Context, tenant string, id jobs.ID, url string, on bool) error {
	for {
		job, _, err := e.store.Job(ctx, tenant, id)
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
		err = e.commits.doWhenSpace(ctx, newOp(&jobs.Change{Job: job, If: jobs.Condition{State: job.State, Lease: job.Lease}, Fields: jobs.FieldCallbacks}))
		if !errors.Is(err, jobs.ErrConflict) {
			return err
		}
	}
}
