package sqlite

import (
	"errors"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
)

// lookup reads what a commit has to know of stored jobs, with the changes that were flushed.
type lookup struct {
	conn   *sqlite.Conn
	queues *queueCache
}

// job reads a whole job with the changes that were flushed.
func (l *lookup) job(n int64) (job jobs.Job, err error) {
	st := l.conn.Prep("SELECT " + jobColumns + " FROM jobs WHERE n=?")
	st.BindInt64(1, n)
	far := false
	found, err := st.Step()
	if found {
		job, far, err = scanJob(l.queues, st, 0)
	}
	if err := errors.Join(err, st.Reset()); err != nil {
		return job, err
	}
	return job, loadPayloads(l.conn, &job, far)
}

// jobByID reads a job of a tenant; false if there is none.
func (l *lookup) jobByID(tenant string, id jobs.ID) (job jobs.Job, found bool, err error) {
	var n int64
	if err := sqlitex.Execute(l.conn, "SELECT n FROM jobs WHERE id=?", &sqlitex.ExecOptions{Args: []any{id[:]},
		ResultFunc: func(st *sqlite.Stmt) error { n = st.ColumnInt64(0); return nil }}); err != nil || n == 0 {
		return job, false, err
	}
	job, err = l.job(n)
	return job, job.Tenant == tenant, err
}
