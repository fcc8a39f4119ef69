package sqlite

import (
	"errors"
	"jobhub/jobs"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// dependencies looks up the jobs that a new job depends on: those that have not succeeded,
// and whether one of them has failed or was cancelled.
func (l *lookup) dependencies(tenant string, ids []jobs.ID) (open []int64, failed bool, err error) {
	var lost []int64
	for _, id := range ids {
		found := false
		err := sqlitex.Execute(l.conn, "SELECT n, state, q FROM jobs WHERE id=?", &sqlitex.ExecOptions{Args: []any{id[:]}, ResultFunc: func(st *sqlite.Stmt) error {
			q := l.queues.numbered(st.ColumnInt64(2))
			found = q != nil && q.Tenant == tenant
			switch state := jobs.State(st.ColumnInt(1)); {
			case !state.Final():
				open = append(open, st.ColumnInt64(0))
			case state != jobs.Succeeded:
				lost, failed = append(lost, st.ColumnInt64(0)), true
			}
			return nil
		}})
		if err != nil {
			return nil, false, err
		}
		if !found {
			return nil, false, &jobs.UnknownDependency{ID: id}
		}
	}
	return append(open, lost...), failed, nil
}

// wakeDependents sets the WakeAt of jobs that depend on a job that has ended, if they can run
// or have to be cancelled now.
func (c *commit) wakeDependents(j *jobs.Job) error {
	var children []int64
	st := c.write.Prep("SELECT child FROM waits WHERE parent=?")
	st.BindInt64(1, int64(j.N))
	for {
		found, err := st.Step()
		if err != nil || !found {
			if err := errors.Join(err, st.Reset()); err != nil {
				return err
			}
			break
		}
		children = append(children, st.ColumnInt64(0))
	}
	if len(children) == 0 {
		return nil
	}
	if err := c.rows.flush(); err != nil {
		return err
	}
	if j.State == jobs.Succeeded { // otherwise a retry needs to know which jobs depended on it
		if err := c.do("DELETE FROM waits WHERE parent=?", int64(j.N)); err != nil {
			return err
		}
	}
	wake := "UPDATE jobs SET wake=? WHERE n=? AND state=5 AND NOT EXISTS (SELECT 1 FROM waits WHERE child=jobs.n)"
	if j.State != jobs.Succeeded {
		wake = "UPDATE jobs SET wake=?, parent_failed=1 WHERE n=? AND state=5"
	}
	for _, n := range children {
		if err := c.do(wake, c.now.UnixMilli(), n); err != nil {
			return err
		}
	}
	c.woken = true
	return nil
}
