package sqlite

import (
	"bytes"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
)

// This file looks in a commit for the jobs that decide about another one.

// askPeers asks the peers of a change. It returns the changes to apply before it, or the
// outcome of the change.
func (c *commit) askPeers(ch *jobs.Change) (before []*jobs.Change, outcome, err error) {
	for _, p := range ch.Peers {
		peers, err := c.peers(ch.Job.Tenant, int64(ch.Job.N), p)
		if err != nil {
			return nil, nil, err
		}
		if len(peers) == 0 {
			continue
		}
		more, outcome := p.Decide(peers)
		if outcome != nil {
			return nil, outcome, nil
		}
		before = append(before, more...)
	}
	return before, nil, nil
}

const (
	unfinishedUnique   = "SELECT n FROM jobs WHERE unique_key=+? AND unique_key IS NOT NULL AND state <= 5 AND created > ?+0 ORDER BY n DESC LIMIT ?+0"
	newestUnique       = "SELECT n FROM jobs WHERE unique_key=+? AND unique_key IS NOT NULL AND state=" // and one state
	unfinishedSchedule = "SELECT n FROM jobs WHERE schedule=+? AND schedule IS NOT NULL AND state <= 5 AND q IN (SELECT q FROM queues WHERE tenant=+?) ORDER BY n DESC LIMIT ?+0"
)

// peers reads those of a job, without itself.
func (c *commit) peers(tenant string, self int64, p *jobs.Peers) (list []jobs.Job, err error) {
	since := int64(0)
	if !p.Since.IsZero() {
		since = p.Since.UnixMilli()
	}
	var found []int64
	find := func(sql string, args ...any) error {
		return sqlitex.Execute(c.write, sql, &sqlitex.ExecOptions{Args: args, ResultFunc: func(st *sqlite.Stmt) error {
			found = append(found, st.ColumnInt64(0))
			return nil
		}})
	}
	if p.Schedule != "" {
		err = find(unfinishedSchedule, p.Schedule, tenant, jobs.MaxPeers)
	} else {
		err = find(unfinishedUnique, p.UniqueKey, since, jobs.MaxPeers)
		for _, state := range []jobs.State{jobs.Succeeded, jobs.Failed, jobs.Cancelled} {
			if err == nil && p.Finished {
				err = find(newestUnique+stateLiteral(state)+" ORDER BY n DESC LIMIT 1", p.UniqueKey)
			}
		}
	}
	for _, n := range found {
		if err != nil {
			return nil, err
		}
		var job jobs.Job
		if job, err = c.job(n); job.Tenant == tenant && n != self && job.CreatedAt.UnixMilli() > since {
			list = append(list, job)
		}
	}
	newestFirst(list)
	return list, err
}

// queueHasRoom reports whether one more job may wait in a queue, once the changes were applied.
func (c *commit) queueHasRoom(q *queue, before []*jobs.Change) bool {
	most := int64(c.settings(q).Capacity)
	if most == 0 {
		return true
	}
	waiting := c.waiting(q)
	for _, ch := range before {
		if ch.Job.Queue == q.Name && ch.Job.State.Final() && ch.If.State != jobs.Running {
			waiting--
		}
	}
	return waiting < most
}

// jobByID reads a job of a tenant; false if there is none.
func (c *commit) jobByID(tenant string, id jobs.ID) (job jobs.Job, found bool, err error) {
	var n int64
	if err := sqlitex.Execute(c.write, "SELECT n FROM jobs WHERE id=?", &sqlitex.ExecOptions{Args: []any{id[:]},
		ResultFunc: func(st *sqlite.Stmt) error { n = st.ColumnInt64(0); return nil }}); err != nil || n == 0 {
		return job, false, err
	}
	job, err = c.job(n)
	return job, job.Tenant == tenant, err
}

// retryOf returns a *jobs.Existing if the job to be repeated has a retry that stands for
// this one.
func (c *commit) retryOf(ch *jobs.Change) (outcome, err error) {
	old, found, err := c.jobByID(ch.Job.Tenant, ch.Job.RetryOf)
	if err != nil || !found {
		return jobs.ErrNotFound, err
	}
	if !old.State.Final() {
		return jobs.ErrConflict, nil
	}
	if ch.Retry.Force || old.RetriedBy == (jobs.ID{}) || ch.Retry.Fingerprint != nil && !bytes.Equal(ch.Retry.Fingerprint, old.RetryFingerprint) {
		return nil, nil
	}
	there, found, err := c.jobByID(ch.Job.Tenant, old.RetriedBy)
	if err != nil || !found {
		return nil, err
	}
	return &jobs.Existing{Job: there}, nil
}

// markRetried notes an inserted job as the retry of the one that it repeats.
func (c *commit) markRetried(ch *jobs.Change) error {
	if err := c.flush(); err != nil {
		return err
	}
	old, found, err := c.jobByID(ch.Job.Tenant, ch.Job.RetryOf)
	if err != nil || !found {
		return err
	}
	old.RetriedBy, old.RetryFingerprint = ch.Job.ID, ch.Retry.Fingerprint
	mark := &jobs.Change{Job: old, If: jobs.Condition{State: old.State}, Fields: jobs.FieldRetried,
		Event: jobs.Event{Type: jobs.JobChanged, Data: old.ChangedData(jobs.FieldRetried)}}
	_, err = c.change(mark)
	return err
}
