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

// document applies a change that does not belong to a job.
func (c *commit) document(d *jobs.DocumentChange) (outcome, err error) {
	if same, err := c.documentIs(d); err != nil || !same {
		return jobs.ErrConflict, err
	}
	return nil, c.writeDocument(d)
}

// documentIs reports whether the stored document is still d.Was.
func (c *commit) documentIs(d *jobs.DocumentChange) (bool, error) {
	var stored []byte
	err := sqlitex.Execute(c.write, "SELECT data FROM documents WHERE kind=? AND tenant=? AND name=?", &sqlitex.ExecOptions{Args: []any{d.Kind, d.Tenant, d.Name},
		ResultFunc: func(st *sqlite.Stmt) error { stored = (&row{st, -1}).blob(); return nil }})
	return bytes.Equal(stored, d.Was) && (stored == nil) == (d.Was == nil), err
}

func (c *commit) writeDocument(d *jobs.DocumentChange) error {
	if d.Data == nil {
		return c.do("DELETE FROM documents WHERE kind=? AND tenant=? AND name=?", d.Kind, d.Tenant, d.Name)
	}
	return c.do("INSERT OR REPLACE INTO documents (kind, tenant, name, data) VALUES (?, ?, ?, ?)", d.Kind, d.Tenant, d.Name, []byte(d.Data))
}
