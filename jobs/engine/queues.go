package engine

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/jobs/engine/commit"
)

// Queues keeps the settings of queues, in the store and in memory.
type Queues struct {
	notify   func(jobs.Notice)
	commits  *commit.Committer
	claims   *claims
	attempts *attempts
	names    *names

	configuring sync.Mutex // one change of settings at a time

	mu       sync.RWMutex // protects the fields below
	settings map[jobs.QueueName]jobs.QueueSettings
}

// Configure changes the settings of a queue, and creates the queue if there is none. edit
// gets the current settings; its error cancels the change.
func (q *Queues) Configure(ctx context.Context, tenant, name string, edit func(*jobs.QueueSettings) error) error {
	if !q.names.has(tenant, name) && !jobs.WellFormedName(name) { // names of queues of earlier versions may differ
		return jobs.ErrNotFound
	}
	q.configuring.Lock()
	defer q.configuring.Unlock()
	queue := jobs.QueueName{Tenant: tenant, Name: name}
	old := q.Settings(tenant, name)
	set := old
	set.Callbacks = slices.Clone(old.Callbacks)
	if err := edit(&set); err != nil {
		return err
	}
	if err := q.names.mention(tenant, name, ""); err != nil {
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
	o := commit.NewOp(&jobs.Change{})
	o.Queue = c
	if err := q.commits.Do(ctx, o); err != nil {
		return commit.Problem(err)
	}
	q.cache(queue, set)
	q.notify(jobs.Notice{Tenant: tenant, Subject: jobs.SettingsChanged})
	q.claims.lookAgain()
	return nil
}

// Settings of a queue as they are stored.
func (q *Queues) Settings(tenant, name string) jobs.QueueSettings {
	q.mu.RLock()
	defer q.mu.RUnlock()
	return q.settings[jobs.QueueName{Tenant: tenant, Name: name}]
}

// maxReason is the longest reason of a pause, in bytes.
const maxReason = 1000

// Pause stops a queue from starting jobs. Pausing a paused queue changes nothing. A reason
// may have up to 1000 bytes.
func (q *Queues) Pause(ctx context.Context, tenant, name, by, reason string) error {
	if len(reason) > maxReason {
		return jobs.Invalid("/reason", "must be up to %d bytes", maxReason)
	}
	by, reason = strings.ToValidUTF8(by, "\ufffd"), strings.ToValidUTF8(reason, "\ufffd")
	return q.Configure(ctx, tenant, name, func(s *jobs.QueueSettings) error {
		if s.Paused == nil {
			s.Paused = &jobs.Pause{At: time.Now().Truncate(time.Millisecond).UTC(), By: by, Reason: reason}
		}
		return nil
	})
}

// Resume ends the pause of a queue.
func (q *Queues) Resume(ctx context.Context, tenant, name string) error {
	return q.Configure(ctx, tenant, name, func(s *jobs.QueueSettings) error { s.Paused = nil; return nil })
}

// cache keeps stored settings in memory.
func (q *Queues) cache(name jobs.QueueName, set jobs.QueueSettings) {
	q.mu.Lock()
	q.settings[name] = set
	q.mu.Unlock()
	q.claims.setRate(name, set.Rate)
}
