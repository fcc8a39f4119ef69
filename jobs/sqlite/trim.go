package sqlite

import (
	"context"
	"errors"
	"fmt"
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
	if s.broken != nil {
		return 0, s.broken
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
		err = c.flushed(c.exec("COMMIT"))
	}
	if err != nil {
		if !s.write.AutocommitEnabled() {
			err = errors.Join(err, c.exec("ROLLBACK"))
		}
		return 0, storeError(err)
	}
	s.apply(c.moved)
	s.tail.trimmed(max(seq, floor))
	if pruned > 0 || seq > floor {
		return pruned, s.flushed(sqlitex.ExecuteTransient(s.write, "PRAGMA incremental_vacuum("+strconv.Itoa(vacuumPages)+")", nil))
	}
	return pruned, nil
}

// flushed notes an error of what was to be flushed to the disk. Unless the disk is full the
// outcome is unknown, and a further flush that succeeds proves nothing: Commit fails, too.
func (s *Store) flushed(err error) error {
	if err != nil && !errors.Is(storeError(err), jobs.ErrNoSpace) {
		s.broken = fmt.Errorf("deleting what is out of its retention: %w", err)
	}
	return err
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
	for _, o := range gone {
		q := c.queueByID(o.q)
		if err := c.remove(o.n, o.id, q.Tenant, before); err != nil {
			return 0, err
		}
		c.move(q, o.s, 0)
	}
	return len(gone), c.do("DELETE FROM gone WHERE until < ?", before.UnixMilli())
}

// remove deletes a job with all that belongs to it.
func (c *commit) remove(n int64, id []byte, tenant string, now time.Time) error {
	for _, step := range []struct {
		sql  string
		args []any
	}{
		{"INSERT OR REPLACE INTO gone (id, tenant, until) VALUES (?, ?, ?)", []any{id, tenant, now.Add(goneFor).UnixMilli()}},
		{"DELETE FROM payloads WHERE id BETWEEN ? AND ?", []any{n * 4, n*4 + 3}},
		{removeTags, []any{n, n}},
		{"DELETE FROM keys WHERE n=?", []any{n}},
		{"DELETE FROM waits WHERE parent=?", []any{n}},
		{"DELETE FROM waits WHERE child=?", []any{n}},
		{"DELETE FROM jobs WHERE n=?", []any{n}},
	} {
		if err := c.do(step.sql, step.args...); err != nil {
			return err
		}
	}
	return nil
}

const removeTags = "DELETE FROM tags WHERE n=? AND tag IN (SELECT value FROM json_each((SELECT tags FROM jobs WHERE n=?)))"

// forgetJob deletes a finished job at once.
func (c *commit) forgetJob(ch *jobs.Change, r *changed) error {
	if err := c.flush(); err != nil {
		return err
	}
	ch.Job.Version, ch.Event.Prev = r.job.Version+1, r.job.Seq
	c.tell(&ch.Job, &ch.Event)
	c.move(c.queue(ch.Job.Tenant, ch.Job.Queue), ch.If.State, 0)
	return c.remove(int64(ch.Job.N), ch.Job.ID[:], ch.Job.Tenant, c.now)
}
