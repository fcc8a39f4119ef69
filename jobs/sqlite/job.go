package sqlite

import (
	"context"
	"jobhub/jobs"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// Job implements jobs.Store.
func (s *Store) Job(ctx context.Context, tenant string, id jobs.ID) (jobs.Job, jobs.Position, error) {
	job, pos, _, err := s.job(ctx, tenant, id, loadPayloads)
	return job, pos, err
}

// Brief implements jobs.PayloadReader.
func (s *Store) Brief(ctx context.Context, tenant string, id jobs.ID) (jobs.Job, jobs.Position, bool, error) {
	return s.job(ctx, tenant, id, func(*sqlite.Conn, *jobs.Job, bool) error { return nil })
}

func (s *Store) job(ctx context.Context, tenant string, id jobs.ID, load func(conn *sqlite.Conn, j *jobs.Job, far bool) error) (job jobs.Job, pos jobs.Position, far bool, err error) {
	found, gone := false, false
	pos, err = s.snapshot(ctx, func(conn *sqlite.Conn) error {
		err := sqlitex.Execute(conn, "SELECT "+jobColumns+" FROM jobs WHERE id=?", &sqlitex.ExecOptions{Args: []any{id[:]}, ResultFunc: func(st *sqlite.Stmt) error {
			if job, far, err = scanJob(s.queueCache, st, 0); err != nil {
				return err
			}
			if found = job.Tenant == tenant; !found {
				return nil
			}
			return load(conn, &job, far)
		}})
		if err != nil || found {
			return err
		}
		return sqlitex.Execute(conn, "SELECT 1 FROM gone WHERE id=? AND tenant=?", &sqlitex.ExecOptions{Args: []any{id[:], tenant},
			ResultFunc: func(*sqlite.Stmt) error { gone = true; return nil }})
	})
	err = s.damaged(err, "job %s", id)
	if err == nil && gone {
		err = jobs.ErrGone
	}
	if err == nil && !found {
		return jobs.Job{}, pos, false, jobs.ErrNotFound
	}
	return job, pos, far, err
}
