package sqlite

import (
	"bytes"
	"context"
	"io"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
)

// ReadPayload implements jobs.PayloadReader. It holds a connection only while it reads.
func (s *Store) ReadPayload(ctx context.Context, tenant string, id jobs.ID, part jobs.Part, off int64, p []byte) (n int, size int64, err error) {
	_, err = s.snapshot(ctx, func(conn *sqlite.Conn) error {
		row, found := int64(0), false
		err := sqlitex.Execute(conn, "SELECT n, q FROM jobs WHERE id=?", &sqlitex.ExecOptions{Args: []any{id[:]}, ResultFunc: func(st *sqlite.Stmt) error {
			row, found = st.ColumnInt64(0)*4+int64(part), s.queueCache.numbered(st.ColumnInt64(1)).Tenant == tenant
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

// The parts of a job that can be large.
const (
	partInput = iota
	partResult
	partResponse
)

// payload is a part that is stored in a row of its own.
type payload struct {
	part int
	data []byte
}

func savePayload(conn *sqlite.Conn, n uint64, p payload) error {
	st := conn.Prep("INSERT OR REPLACE INTO payloads (id, data) VALUES (?, ?)")
	st.BindInt64(1, int64(n)*4+int64(p.part))
	st.BindBytes(2, p.data)
	return run(st)
}

// loadPayloads adds the parts that are not in the row of the job.
func loadPayloads(conn *sqlite.Conn, j *jobs.Job, far bool) error {
	if !far {
		return nil
	}
	st := conn.Prep("SELECT id, data FROM payloads WHERE id BETWEEN ? AND ?")
	st.BindInt64(1, int64(j.N)*4)
	st.BindInt64(2, int64(j.N)*4+3)
	defer st.Reset()
	for {
		more, err := st.Step()
		if err != nil || !more {
			return err
		}
		r := row{st, -1}
		part := r.int() % 4
		data := r.blob()
		switch part {
		case partInput:
			j.Input = data
		case partResult:
			if j.Result == nil { // otherwise this is an older, larger result
				j.Result = data
			}
		case partResponse:
			j.Response = new(jobs.Response)
			if err := j.Response.UnmarshalBinary(bytes.Clone(data)); err != nil {
				return err
			}
		}
	}
}
