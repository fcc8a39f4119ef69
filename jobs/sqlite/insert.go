package sqlite

import (
	"errors"

	"jobhub/jobs"
)

func (c *commit) insert(ch *jobs.Change, bounded bool) (outcome, err error) {
	j := &ch.Job
	if ch.Key != nil || len(ch.After) > 0 || ch.Retry != nil || len(ch.Peers) > 0 {
		if err := c.rows.flush(); err != nil {
			return nil, err
		}
	}
	if ch.Key != nil {
		if taken, err := c.stored.bindKey(ch.Key, c.now); err != nil || taken != nil {
			return taken, err
		}
	}
	if ch.Document != nil {
		if same, err := documentIs(c.write, ch.Document); err != nil || !same {
			return jobs.ErrConflict, err
		}
	}
	if ch.Retry != nil {
		if existing, err := c.stored.retryOf(ch); err != nil || existing != nil {
			return existing, err
		}
	}
	replaced, outcome, err := c.stored.askPeers(ch)
	if err != nil || outcome != nil {
		return outcome, err
	}
	parents, failed, err := c.stored.dependencies(j.Tenant, ch.After)
	if unknown, ok := errors.AsType[*jobs.UnknownDependency](err); ok {
		return unknown, nil
	}
	if err != nil {
		return nil, err
	}
	q, err := c.queues.of(jobs.QueueName{Tenant: j.Tenant, Name: j.Queue})
	if err != nil {
		return nil, err
	}
	if bounded && !c.queues.hasRoom(q, replaced) {
		return jobs.ErrQueueFull, nil
	}
	for _, other := range replaced {
		if outcome, err := c.change(other); err != nil || outcome != nil {
			return outcome, err
		}
	}
	if len(ch.After) > 0 && (failed || len(parents) == 0) {
		j.WakeAt = c.now // what it waits for has ended already
	}
	j.N, j.Version = c.events.seq+1, 1
	st := c.write.Prep(`INSERT INTO jobs (version, seq, n, id, q, kind, state, priority, tags, attempt, max_attempts, backoff, backoff_initial,
		backoff_max, timeout, created, scheduled, expires, wake, ready, ordering_key, key, never_rerun, retention, parent_failed, queue_timeout, cancel, lost,
		retry_of, caller, parent, via, callbacks, credentials, uniq, unique_key, schedule, result, input)
		VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
	p := binder{Stmt: st}
	p.int(int64(j.N))
	p.int(int64(j.N))
	p.blob(j.ID[:])
	p.int(q.id)
	p.text(j.Kind)
	p.int(int64(j.State))
	p.int(int64(j.Priority))
	p.tags(j.Tags)
	p.int(int64(j.MaxAttempts))
	p.int(int64(j.Backoff.Kind))
	p.int(j.Backoff.Initial.Milliseconds())
	p.int(j.Backoff.Max.Milliseconds())
	p.int(j.Timeout.Milliseconds())
	p.time(j.CreatedAt)
	p.time(j.ScheduledAt)
	p.time(j.ExpiresAt)
	p.time(j.WakeAt)
	ready := j.State == jobs.Queued && j.OrderingKey == "" && j.FairKey == ""
	if ready {
		p.int(int64(j.N))
	} else {
		p.null()
	}
	p.optional(j.OrderingKey)
	p.optional(j.FairKey)
	p.bool(j.NeverRerun)
	p.int(j.Retention.Milliseconds())
	p.bool(failed)
	p.int(j.QueueTimeout.Milliseconds())
	p.id(j.RetryOf)
	p.optional(j.Caller)
	p.id(j.Parent)
	if j.Via.Empty() {
		p.null()
	} else {
		p.json(j.Via)
	}
	p.callbacks(j.Callbacks)
	if len(j.Credentials) == 0 {
		p.null()
	} else {
		p.json(j.Credentials)
	}
	if j.Unique == nil {
		p.null()
	} else {
		p.json(j.Unique)
	}
	p.bytes(j.UniqueKey)
	p.optional(j.Schedule)
	result, input := p.payload(partResult, j.Result), p.payload(partInput, j.Input)
	if err := p.run(); err != nil {
		return nil, err
	}
	for _, large := range []*payload{result, input} {
		if large != nil {
			if err := savePayload(c.write, j.N, *large); err != nil {
				return nil, err
			}
		}
	}
	for _, parent := range parents {
		if err := c.do("INSERT OR IGNORE INTO waits (parent, child) VALUES (?, ?)", parent, int64(j.N)); err != nil {
			return nil, err
		}
	}
	if err := c.addTags(j.Tags, int64(j.N)); err != nil {
		return nil, err
	}
	if ch.Key != nil {
		if err := c.do("INSERT OR REPLACE INTO keys (scope, key, fingerprint, n, until) VALUES (?, ?, ?, ?, ?)",
			ch.Key.Scope, ch.Key.Key, ch.Key.Fingerprint, int64(j.N), ch.Key.Until.UnixMilli()); err != nil {
			return nil, err
		}
	}
	if ch.Document != nil {
		if err := writeDocument(c.write, ch.Document); err != nil {
			return nil, err
		}
	}
	c.queues.move(q, 0, j.State)
	c.events.add(j, &ch.Event)
	if ready {
		c.marks.set(q, j.Kind)
	}
	if j.State == jobs.Queued {
		ch.Position = c.queues.count(q, jobs.Queued)
		if err := c.promoteOthers(q, j); err != nil {
			return nil, err
		}
	}
	if ch.Retry != nil {
		if err := c.markRetried(ch); err != nil {
			return nil, err
		}
	}
	if ch.Follow == nil {
		return nil, nil
	}
	return nil, c.insertAll(ch.Follow(j))
}

// insertAll inserts the jobs of a Follow function, whatever the capacity of their queues.
// Those that are refused for another reason are left out.
func (c *commit) insertAll(list []*jobs.Change) error {
	for _, ch := range list {
		if _, err := c.insert(ch, false); err != nil {
			return err
		}
	}
	return nil
}

// follow calls Follow of a change and inserts the jobs that it returns.
func (c *commit) follow(ch *jobs.Change) error {
	if ch.Follow == nil {
		return nil
	}
	if err := c.rows.flush(); err != nil {
		return err
	}
	job, err := c.stored.job(int64(ch.Job.N))
	if err != nil {
		return err
	}
	return c.insertAll(ch.Follow(&job))
}
