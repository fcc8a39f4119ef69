package sqlite

import (
	"errors"
	"strings"

	"zombiezen.com/go/sqlite"

	"jobhub/jobs"
)

// changedRow is a job with all its changes in one commit. They are written together, because
// writing a row costs the same however many columns change.
type changedRow struct {
	job         jobs.Job // State, Lease, Version and Seq, and the members in fields
	fields      jobs.Field
	ready       bool
	readyAt     uint64
	dirty       bool // there is something to write
	largeResult bool // its result is in the table payloads
}

// changedRows are the jobs that changed in a commit and are not written yet.
type changedRows struct {
	conn    *sqlite.Conn
	updates map[jobs.Field]string // SQL by the fields it sets; of the store
	byN     map[uint64]*changedRow
	list    []*changedRow // in the order of their first change
}

// get is a job with the changes of this commit so far; nil if there is none.
func (c *changedRows) get(n uint64) (*changedRow, error) {
	if r := c.byN[n]; r != nil {
		return r, nil
	}
	// SELECT and then UPDATE is cheaper than UPDATE … RETURNING, and as safe: nobody else
	// writes.
	st := c.conn.Prep("SELECT state, lease, version, seq, length(result)=0 FROM jobs WHERE n=?")
	st.BindInt64(1, int64(n))
	found, err := st.Step()
	var r *changedRow
	if found {
		r = &changedRow{largeResult: st.ColumnInt(4) != 0, job: jobs.Job{N: n, State: jobs.State(st.ColumnInt(0)), Lease: st.ColumnText(1), Version: uint64(st.ColumnInt64(2)), Seq: uint64(st.ColumnInt64(3))}}
		c.byN[n] = r
		c.list = append(c.list, r)
	}
	return r, errors.Join(err, st.Reset())
}

// flush writes the changed rows, so that statements after it see them.
func (c *changedRows) flush() error {
	for _, r := range c.list {
		if !r.dirty {
			continue
		}
		if err := c.update(r); err != nil {
			return err
		}
	}
	c.forget()
	return nil
}

// forget drops what was not written.
func (c *changedRows) forget() {
	clear(c.byN)
	c.list = c.list[:0]
}

func (c *changedRows) update(r *changedRow) error {
	st, err := c.conn.Prepare(c.updateSQL(r.fields))
	if err != nil {
		return err
	}
	p := binder{Stmt: st}
	p.int(int64(r.job.Version))
	p.int(int64(r.job.Seq))
	large := p.fields(r.fields, &r.job, r.ready, r.readyAt)
	p.int(int64(r.job.N))
	if err := p.run(); err != nil {
		return err
	}
	if r.largeResult && r.fields.Has(jobs.FieldResult) { // the new result replaces the partial one
		if err := execute(c.conn, "DELETE FROM payloads WHERE id=?", int64(r.job.N)*4+partResult); err != nil {
			return err
		}
	}
	for _, l := range large {
		if err := savePayload(c.conn, r.job.N, l); err != nil {
			return err
		}
	}
	return nil
}

// updateSQL is the statement that sets fields.
func (c *changedRows) updateSQL(f jobs.Field) string {
	if sql := c.updates[f]; sql != "" {
		return sql
	}
	var b strings.Builder
	b.WriteString("UPDATE jobs SET version=?, seq=?")
	for _, field := range fields {
		if f.Has(field.bit) {
			for column := range strings.SplitSeq(field.columns, " ") {
				b.WriteString(", " + column + "=?")
			}
		}
	}
	b.WriteString(" WHERE n=?")
	c.updates[f] = b.String()
	return b.String()
}

// copyFields copies the members that fields name.
func copyFields(to, from *jobs.Job, f jobs.Field) {
	if f.Has(jobs.FieldState) {
		to.State, to.Reason = from.State, from.Reason
	}
	if f.Has(jobs.FieldAttempt) {
		to.Attempt = from.Attempt
	}
	if f.Has(jobs.FieldLease) {
		to.Lease = from.Lease
	}
	if f.Has(jobs.FieldWake) {
		to.WakeAt = from.WakeAt
	}
	if f.Has(jobs.FieldScheduled) {
		to.ScheduledAt = from.ScheduledAt
	}
	if f.Has(jobs.FieldStarted) {
		to.StartedAt = from.StartedAt
	}
	if f.Has(jobs.FieldFinished) {
		to.FinishedAt = from.FinishedAt
	}
	if f.Has(jobs.FieldProgress) {
		to.Progress = from.Progress
	}
	if f.Has(jobs.FieldError) {
		to.Error = from.Error
	}
	if f.Has(jobs.FieldResult) {
		to.Result, to.Response = from.Result, from.Response
	}
	if f.Has(jobs.FieldCancel) {
		to.CancelRequested = from.CancelRequested
	}
	if f.Has(jobs.FieldLost) {
		to.Lost = from.Lost
	}
	if f.Has(jobs.FieldCheckpoint) {
		to.Checkpoint = from.Checkpoint
	}
	if f.Has(jobs.FieldRetained) {
		to.RetainedUntil = from.RetainedUntil
	}
	if f.Has(jobs.FieldSettled) {
		to.Settled = from.Settled
	}
	if f.Has(jobs.FieldReported) {
		to.Reported = from.Reported
	}
	if f.Has(jobs.FieldExpires) {
		to.ExpiresAt = from.ExpiresAt
	}
	if f.Has(jobs.FieldCallbacks) {
		to.Callbacks = from.Callbacks
	}
	if f.Has(jobs.FieldPriority) {
		to.Priority = from.Priority
	}
	if f.Has(jobs.FieldRetried) {
		to.RetriedBy, to.RetryFingerprint = from.RetriedBy, from.RetryFingerprint
	}
	if f.Has(jobs.FieldOutput) {
		to.Output = from.Output
	}
}
