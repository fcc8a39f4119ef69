package jobs

import (
	"context"
	"errors"
	"slices"
)

// Callback is the current callback of a delivery. It is disabled if its receiver answered 410
// or its queue no longer has it, unless this delivery is a retry that somebody asked for.
func (r *attemptRun) Callback(ctx context.Context) (Callback, error) {
	if len(r.job.Callbacks) == 0 {
		return Callback{Disabled: true}, nil
	}
	c := r.job.Callbacks[0]
	again := r.job.RetryOf != (ID{})
	if c.Queue != "" {
		list := r.engine.Settings(r.job.Tenant, c.Queue).Callbacks
		i := slices.IndexFunc(list, func(now Callback) bool { return now.URL == c.URL })
		if i < 0 {
			c.Disabled = true
			return c, nil
		}
		c.Secrets, c.Disabled = list[i].Secrets, list[i].Disabled && !again
		return c, nil
	}
	if again || !c.severalPerJob() {
		return c, nil
	}
	parent, _, err := r.engine.store.Job(ctx, r.job.Tenant, r.job.Parent)
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrGone) {
		return c, nil
	}
	if i := parent.callback(c.URL); err == nil && i >= 0 {
		c.Disabled = parent.Callbacks[i].Disabled
	}
	return c, err
}

func (j *Job) callback(url string) int {
	return slices.IndexFunc(j.Callbacks, func(c Callback) bool { return c.URL == url })
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
	return r.engine.Configure(ctx, r.job.Tenant, c.Queue, func(s *QueueSettings) error {
		for i := range s.Callbacks {
			if s.Callbacks[i].URL == c.URL {
				s.Callbacks[i].setEnabled(on)
			}
		}
		return nil
	})
}

// enableCallback enables or disables a callback of a job, and tries again if the job changes
// meanwhile.
func (e *Engine) enableCallback(ctx context.Context, tenant string, id ID, url string, on bool) error {
	for {
		job, _, err := e.store.Job(ctx, tenant, id)
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrGone) {
			return nil // there will be no further deliveries
		}
		if err != nil {
			return err
		}
		i := job.callback(url)
		if i < 0 || job.Callbacks[i].Disabled == !on {
			return nil
		}
		job.Callbacks = slices.Clone(job.Callbacks)
		job.Callbacks[i].setEnabled(on)
		err = e.commits.doWhenSpace(ctx, newOp(&Change{Job: job, If: Condition{State: job.State, Lease: job.Lease}, Fields: FieldCallbacks}))
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
}
