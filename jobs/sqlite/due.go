package sqlite

import (
	"context"
	"fmt"
	"jobhub/jobs"

	"zombiezen.com/go/sqlite"

	"jobhub/jobs/sqlite/eventlog"
)

// listDue lists the jobs whose WakeAt has come, earliest first, without damaged ones.
func (s *Store) listDue(ctx context.Context, f jobs.Filter) (page jobs.Page, err error) {
	page.Pos, err = s.snapshot(ctx, func(conn *sqlite.Conn) error {
		st := conn.Prep("SELECT n FROM jobs WHERE wake IS NOT NULL ORDER BY wake") // in the index alone
		defer st.Reset()
		for {
			found, err := st.Step()
			if err != nil || !found {
				return err
			}
			job, err := s.readRow(conn, st.ColumnInt64(0))
			if isDamage(err) {
				s.damaged(err, "a job that is due")
				continue
			}
			if err != nil {
				return err
			}
			if len(page.Jobs) == f.Limit || job.WakeAt.After(f.Due) {
				page.Wake = job.WakeAt
				return nil
			}
			page.Jobs = append(page.Jobs, job)
		}
	})
	return page, s.damaged(err, "the jobs that are due")
}

// readRow reads the row of a job.
func (s *Store) readRow(conn *sqlite.Conn, n int64) (job jobs.Job, err error) {
	st := conn.Prep("SELECT " + jobColumns + " FROM jobs WHERE n=?")
	st.BindInt64(1, n)
	defer st.Reset()
	found, err := st.Step()
	if err != nil {
		return job, err
	}
	if !found {
		return job, fmt.Errorf("%w: an index names job %d, which is not there", eventlog.ErrCorrupt, n)
	}
	job, _, err = scanJob(s.queueCache, st, 0)
	return job, err
}
