package engine

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
)

// Configure changes the settings of a queue, and creates the queue if there is none. edit
// gets the current settings; its error cancels the change.
func (e *Engine) Configure(ctx context.Context, tenant, name string, edit func(*jobs.QueueSettings) error) error {
	if !e.names.has(tenant, name) && !jobs.WellFormedName(name) { // names of queues of earlier versions may differ
		return jobs.ErrNotFound
	}
	e.configuring.Lock()
	defer e.configuring.Unlock()
	queue := jobs.QueueName{Tenant: tenant, Name: name}
	e.mu.Lock()
	old := e.settings[queue]
	e.mu.Unlock()
	set := old
	set.Callbacks = slices.Clone(old.Callbacks)
	if err := edit(&set); err != nil {
		return err
	}
	if err := e.names.mention(tenant, name, ""); err != nil {
		return err
	}
	c := &jobs.QueueChange{Tenant: tenant, Name: name, Settings: set}
	switch {
	case old.Paused == nil && set.Paused != nil:
		data, err := json.Marshal(set.Paused)
		if err != nil {
			return err
		}
		c.Event = jobs.Event{Type: jobs.QueuePaused, Data: data}
	case old.Paused != nil && set.Paused == nil:
		c.Event = jobs.Event{Type: jobs.QueueResumed, Data: jobs.Value(`{}`)}
	}
	o := newOp(&jobs.Change{})
	o.queue = c
	if err := e.commits.do(ctx, o); err != nil {
		return e.storeProblem(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.cacheSettingsLocked(queue, set)
	for _, c := range e.claimers {
		c.wantsJobs = true
	}
	e.commits.trigger(true)
	return nil
}

// Settings of a queue as they are stored.
func (e *Engine) Settings(tenant, name string) jobs.QueueSettings {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.settings[jobs.QueueName{Tenant: tenant, Name: name}]
}

// maxReason is the longest reason of a pause, in bytes.
const maxReason = 1000

// Pause stops a queue from starting jobs. Pausing a paused queue changes nothing. A reason
// may have up to 1000 bytes.
func (e *Engine) Pause(ctx context.Context, tenant, name, by, reason string) error {
	if len(reason) > maxReason {
		return jobs.Invalid("/reason", "must be up to %d bytes", maxReason)
	}
	by, reason = strings.ToValidUTF8(by, "\ufffd"), strings.ToValidUTF8(reason, "\ufffd")
	return e.Configure(ctx, tenant, name, func(s *jobs.QueueSettings) error {
		if s.Paused == nil {
			s.Paused = &jobs.Pause{At: time.Now().Truncate(time.Millisecond).UTC(), By: by, Reason: reason}
		}
		return nil
	})
}

// Resume ends the pause of a queue.
func (e *Engine) Resume(ctx context.Context, tenant, name string) error {
	return e.Configure(ctx, tenant, name, func(s *jobs.QueueSettings) error { s.Paused = nil; return nil })
}

// cacheSettingsLocked keeps stored settings in memory.
func (e *Engine) cacheSettingsLocked(name jobs.QueueName, set jobs.QueueSettings) {
	e.settings[name] = set
	old := e.buckets[name]
	switch {
	case set.Rate.N == 0:
		delete(e.buckets, name)
	case old == nil || old.rate != set.Rate:
		e.buckets[name] = &tokenBucket{rate: set.Rate, tokens: float64(set.Rate.N), at: time.Now()}
	}
}
