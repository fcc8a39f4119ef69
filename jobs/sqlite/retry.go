package sqlite

import (
	"bytes"
	"jobhub/jobs"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

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

// retryOf returns a *jobs.Existing if the old job has a retry already that makes this one
// unnecessary.
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

// markRetried records an inserted job as the retry of the old one.
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
