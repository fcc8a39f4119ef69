package sqlite

import (
	"context"
	"io"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
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
			if job, far, err = s.scanJob(st, 0); err != nil {
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

// ReadPayload implements jobs.PayloadReader. It holds a connection only while it reads.
func (s *Store) ReadPayload(ctx context.Context, tenant string, id jobs.ID, part jobs.Part, off int64, p []byte) (n int, size int64, err error) {
	_, err = s.snapshot(ctx, func(conn *sqlite.Conn) error {
		row, found := int64(0), false
		err := sqlitex.Execute(conn, "SELECT n, q FROM jobs WHERE id=?", &sqlitex.ExecOptions{Args: []any{id[:]}, ResultFunc: func(st *sqlite.Stmt) error {
			s.mu.RLock()
			defer s.mu.RUnlock()
			row, found = st.ColumnInt64(0)*4+int64(part), s.byID[st.ColumnInt64(1)].Tenant == tenant
			return nil
		}})
		if err != nil {
			return err
		}
		if !found {
			return jobs.ErrNotFound
		}
		err = sqlitex.Execute(conn, "SELECT length(data) FROM payloads WHERE id=?", &sqlitex.ExecOptions{Args: []any{row},
			ResultFunc: func(st *sqlite.Stmt) error { size = st.ColumnInt64(0); return nil }})
		if err != nil || off >= size || len(p) == 0 {
			return err
		}
		blob, err := conn.OpenBlob("", "payloads", "data", row, false)
		if err != nil {
			return err
		}
		defer blob.Close()
		if _, err := blob.Seek(off, io.SeekStart); err != nil {
			return err
		}
		n, err = io.ReadFull(blob, p[:min(int64(len(p)), size-off)])
		return err
	})
	return n, size, s.damaged(err, "a payload of job %s", id)
}
