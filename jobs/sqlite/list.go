package sqlite

import (
	"context"
	"fmt"
	"strings"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
)

// maxDamagedJobs is how many damaged numbers of jobs a list passes over before it gives up.
const maxDamagedJobs = 10_000

// runQuery adds up to limit+1 jobs of a part to a page, with numbers from low to high.
// Jobs that are damaged are left out, and said in the log.
func (s *Store) runQuery(conn *sqlite.Conn, p listQuery, page *jobs.Page, low, high int64, limit int) error {
	sql := "SELECT " + jobColumns + " FROM " + p.from + " WHERE " + strings.Join(append(p.where, "jobs.n<=?", "jobs.n>=?"), " AND ") + " ORDER BY jobs.n DESC LIMIT ?+0"
	left := limit + 1
	return s.passDamage(low, high, func(low, high int64) (int64, error) {
		if left == 0 {
			return low, nil
		}
		lowest := high + 1
		err := sqlitex.Execute(conn, sql, &sqlitex.ExecOptions{Args: append(p.args[:len(p.args):len(p.args)], high, low, left), ResultFunc: func(st *sqlite.Stmt) error {
			job, _, err := s.scanJob(st, 0)
			if err == nil {
				page.Jobs = append(page.Jobs, job)
				lowest, left = int64(job.N), left-1
			}
			return err
		}})
		return lowest, err
	})
}

// passDamage reads jobs with numbers from low to high, newest first. read returns the
// lowest number that it gave. Where it meets damage, the rest is read in halves, so that
// only what is damaged is left out.
func (s *Store) passDamage(low, high int64, read func(low, high int64) (lowest int64, err error)) error {
	gaps := 0
	var between func(low, high int64) error
	between = func(low, high int64) error {
		if low > high {
			return nil
		}
		lowest, err := read(low, high)
		if !isDamage(err) {
			return err
		}
		high = lowest - 1
		if low == high {
			s.damaged(err, "job %d, which lists leave out", low)
			if gaps++; gaps > maxDamagedJobs {
				return err
			}
			return nil
		}
		middle := low + (high-low+1)/2
		if err := between(middle, high); err != nil {
			return err
		}
		return between(low, middle-1)
	}
	head, _ := s.tail.position()
	lowest, err := read(low, high)
	if !isDamage(err) {
		return err
	}
	return between(low, min(lowest-1, int64(head)))
}

// listDue lists the jobs whose time has come, earliest first, without those that are damaged.
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
		return job, fmt.Errorf("%w: an index names job %d, which is not there", errCorrupt, n)
	}
	job, _, err = s.scanJob(st, 0)
	return job, err
}
