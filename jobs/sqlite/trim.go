package sqlite

import (
	"context"
	"errors"
	"strconv"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
)

// goneFor is how long it is remembered that a job existed.
const goneFor = 30 * 24 * time.Hour

// vacuumPages is how many free pages one Trim gives back to the file system.
const vacuumPages = 2000

// Trim implements jobs.Store. It is one transaction of bounded size, so that commits
// do not wait long for it.
func (s *Store) Trim(ctx context.Context, t jobs.Trim) (pruned int, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.write == nil {
		return 0, jobs.ErrClosed
	}
	head, floor := s.tail.position()
	seq := min(t.Seq, head-min(head, 1))
	c := &commit{Store: s, moved: map[*queue]*counts{}}
	if err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return 0, storeError(err)
	}
	err = func() error {
		if seq > floor {
			if err := c.do("DELETE FROM log WHERE last <= ?", int64(seq)); err != nil {
				return err
			}
			if err := c.do("INSERT OR REPLACE INTO meta (name, value) VALUES ('floor', ?)", int64(seq)); err != nil {
				return err
			}
		}
		if t.Retained.IsZero() {
			return nil
		}
		if pruned, err = c.prune(t.Retained, t.Limit); err != nil {
			return err
		}
		return c.saveCounts()
	}()
	if err == nil {
		err = c.exec("COMMIT")
	}
	if err != nil {
		if !s.write.AutocommitEnabled() {
			err = errors.Join(err, c.exec("ROLLBACK"))
		}
		return 0, storeError(err)
	}
	s.apply(c.moved)
	s.tail.trimmed(max(seq, floor))
	defer s.epoch.acknowledged(s.path, head)
	if pruned > 0 || seq > floor {
		return pruned, sqlitex.ExecuteTransient(s.write, "PRAGMA incremental_vacuum("+strconv.Itoa(vacuumPages)+")", nil)
	}
	return pruned, nil
}

// prune deletes jobs out of their retention, with all that belongs to them.
func (c *commit) prune(before time.Time, limit int) (int, error) {
	type old struct {
		n  int64
		id []byte
		q  int64
		s  jobs.State
	}
	var gone []old
	if err := sqlitex.Execute(c.write, "SELECT n, id, q, state FROM jobs WHERE retained IS NOT NULL AND retained < ? ORDER BY retained LIMIT ?+0",
		&sqlitex.ExecOptions{Args: []any{before.UnixMilli(), limit}, ResultFunc: func(st *sqlite.Stmt) error {
			o := old{n: st.ColumnInt64(0), id: make([]byte, 16), q: st.ColumnInt64(2), s: jobs.State(st.ColumnInt(3))}
			st.ColumnBytes(1, o.id)
			gone = append(gone, o)
			return nil
		}}); err != nil {
		return 0, err
	}
	until := before.Add(goneFor).UnixMilli()
	for _, o := range gone {
		q := c.queueByID(o.q)
		for _, step := range []struct {
			sql  string
			args []any
		}{
			{"INSERT OR REPLACE INTO gone (id, tenant, until) VALUES (?, ?, ?)", []any{o.id, q.Tenant, until}},
			{"DELETE FROM payloads WHERE id BETWEEN ? AND ?", []any{o.n * 4, o.n*4 + 3}},
			{"DELETE FROM tags WHERE n=? AND tag IN (SELECT value FROM json_each((SELECT tags FROM jobs WHERE n=?)))", []any{o.n, o.n}},
			{"DELETE FROM keys WHERE n=?", []any{o.n}},
			{"DELETE FROM jobs WHERE n=?", []any{o.n}},
		} {
			if err := c.do(step.sql, step.args...); err != nil {
				return 0, err
			}
		}
		c.move(q, o.s, 0)
	}
	return len(gone), c.do("DELETE FROM gone WHERE until < ?", before.UnixMilli())
}
