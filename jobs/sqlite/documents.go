package sqlite

import (
	"bytes"
	"context"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
)

// Documents implements jobs.Store.
func (s *Store) Documents(ctx context.Context, tenant, kind string) (list []jobs.Document, err error) {
	sql, args := "SELECT tenant, name, data FROM documents WHERE kind=?", []any{kind}
	if tenant != "" {
		sql, args = sql+" AND tenant=?", append(args, tenant)
	}
	_, err = s.snapshot(ctx, func(conn *sqlite.Conn) error {
		return sqlitex.Execute(conn, sql+" ORDER BY tenant, name", &sqlitex.ExecOptions{Args: args, ResultFunc: func(st *sqlite.Stmt) error {
			r := row{st, -1}
			list = append(list, jobs.Document{Kind: kind, Tenant: r.text(), Name: r.text(), Data: r.blob()})
			return nil
		}})
	})
	return list, s.damaged(err, "the documents of kind %s", kind)
}

// changeDocument applies a change that does not belong to a job.
func changeDocument(conn *sqlite.Conn, d *jobs.DocumentChange) (outcome, err error) {
	if same, err := documentIs(conn, d); err != nil || !same {
		return jobs.ErrConflict, err
	}
	return nil, writeDocument(conn, d)
}

// documentIs reports whether the stored document is still d.Was.
func documentIs(conn *sqlite.Conn, d *jobs.DocumentChange) (bool, error) {
	var stored []byte
	err := sqlitex.Execute(conn, "SELECT data FROM documents WHERE kind=? AND tenant=? AND name=?", &sqlitex.ExecOptions{Args: []any{d.Kind, d.Tenant, d.Name},
		ResultFunc: func(st *sqlite.Stmt) error { stored = (&row{st, -1}).blob(); return nil }})
	return bytes.Equal(stored, d.Was) && (stored == nil) == (d.Was == nil), err
}

func writeDocument(conn *sqlite.Conn, d *jobs.DocumentChange) error {
	if d.Data == nil {
		return execute(conn, "DELETE FROM documents WHERE kind=? AND tenant=? AND name=?", d.Kind, d.Tenant, d.Name)
	}
	return execute(conn, "INSERT OR REPLACE INTO documents (kind, tenant, name, data) VALUES (?, ?, ?, ?)", d.Kind, d.Tenant, d.Name, []byte(d.Data))
}
