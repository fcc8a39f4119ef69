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
	pruned, err = s.trim(t, false)
	if errors.Is(err, jobs.ErrDamaged) { // what is damaged stays, all else is trimmed
		pruned, err = s.trim(t, true)
	}
	return pruned, err
}

func (s *Store) trim(t jobs.Trim, careful bool) (pruned int, err error) {
	head, floor := s.tail.position()
	seq := min(t.Seq, head-min(head, 1))
	c := s.newCommit(t.Retained)
	c.careful = careful
	if err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return 0, s.storeError(err)
	}
	err = func() error {
		if seq > floor {
			if _, err := c.alone("the oldest events", func() error { return c.do("DELETE FROM log WHERE last <= ?", int64(seq)) }); err != nil {
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
		return 0, s.storeError(err)
	}
	s.moveCounts(c.moved)
	s.tail.trimmed(max(seq, floor))
	defer s.epoch.acknowledged(s.path, head)
	if pruned > 0 || seq > floor {
		err = sqlitex.ExecuteTransient(s.write, "PRAGMA incremental_vacuum("+strconv.Itoa(vacuumPages)+")", nil)
	}
	return pruned, s.storeError(err)
}

// prune deletes jobs out of their retention.
func (c *commit) prune(before time.Time, limit int) (pruned int, err error) {
	var old []int64
	if err := sqlitex.Execute(c.write, "SELECT n FROM jobs WHERE retained IS NOT NULL AND retained < ? ORDER BY retained LIMIT ?+0",
		&sqlitex.ExecOptions{Args: []any{before.UnixMilli(), limit}, ResultFunc: func(st *sqlite.Stmt) error {
			old = append(old, st.ColumnInt64(0))
			return nil
		}}); err != nil {
		return 0, err
	}
	until := before.Add(goneFor).UnixMilli()
	for _, n := range old {
		damage, err := c.alone("deleting a job", func() error { return c.pruneJob(n, until) })
		if err != nil {
			return 0, err
		}
		if damage == nil {
			pruned++
		}
	}
	return pruned, c.do("DELETE FROM gone WHERE until < ?", before.UnixMilli())
}

// pruneJob deletes a job with all that belongs to it.
func (c *commit) pruneJob(n, until int64) error {
	var q *queue
	var state jobs.State
	id := make([]byte, 16)
	if err := sqlitex.Execute(c.write, "SELECT id, q, state FROM jobs WHERE n=?", &sqlitex.ExecOptions{Args: []any{n}, ResultFunc: func(st *sqlite.Stmt) error {
		st.ColumnBytes(0, id)
		q, state = c.queueByID(st.ColumnInt64(1)), jobs.State(st.ColumnInt(2))
		return nil
	}}); err != nil || q == nil {
		return err
	}
	for _, step := range []struct {
		sql  string
		args []any
	}{
		{"INSERT OR REPLACE INTO gone (id, tenant, until) VALUES (?, ?, ?)", []any{id, q.Tenant, until}},
		{"DELETE FROM payloads WHERE id BETWEEN ? AND ?", []any{n * 4, n*4 + 3}},
		{"DELETE FROM tags WHERE n=? AND tag IN (SELECT value FROM json_each((SELECT tags FROM jobs WHERE n=?)))", []any{n, n}},
		{"DELETE FROM keys WHERE n=?", []any{n}},
		{"DELETE FROM jobs WHERE n=?", []any{n}},
	} {
		if err := c.do(step.sql, step.args...); err != nil {
			return err
		}
	}
	c.move(q, state, 0)
	return nil
}
