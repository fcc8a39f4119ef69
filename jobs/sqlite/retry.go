package sqlite

import (
	"bytes"
	"jobhub/jobs"
)

// retryOf returns a *jobs.Existing if the old job has a retry already that makes this one
// unnecessary.
func (l *lookup) retryOf(ch *jobs.Change) (outcome, err error) {
	old, found, err := l.jobByID(ch.Job.Tenant, ch.Job.RetryOf)
	if err != nil || !found {
		return jobs.ErrNotFound, err
	}
	if !old.State.Final() {
		return jobs.ErrConflict, nil
	}
	if ch.Retry.Force || old.RetriedBy == (jobs.ID{}) || ch.Retry.Fingerprint != nil && !bytes.Equal(ch.Retry.Fingerprint, old.RetryFingerprint) {
		return nil, nil
	}
	there, found, err := l.jobByID(ch.Job.Tenant, old.RetriedBy)
	if err != nil || !found {
		return nil, err
	}
	return &jobs.Existing{Job: there}, nil
}

// markRetried records an inserted job as the retry of the old one.
func (c *commit) markRetried(ch *jobs.Change) error {
	if err := c.rows.flush(); err != nil {
		return err
	}
	old, found, err := c.stored.jobByID(ch.Job.Tenant, ch.Job.RetryOf)
	if err != nil || !found {
		return err
	}
	old.RetriedBy, old.RetryFingerprint = ch.Job.ID, ch.Retry.Fingerprint
	mark := &jobs.Change{Job: old, If: jobs.Condition{State: old.State}, Fields: jobs.FieldRetried,
		Event: jobs.Event{Type: jobs.JobChanged, Data: old.ChangedData(jobs.FieldRetried)}}
	_, err = c.change(mark)
	return err
}
