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

// deletedJobMemory is how long the store knows that a deleted job existed.
const deletedJobMemory = 30 * 24 * time.Hour

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
	if s.failed != nil {
		return 0, s.failed
	}
	pruned, err = s.trim(t, false)
	if errors.Is(err, jobs.ErrDamaged) { // damaged rows stay, all others are trimmed
		pruned, err = s.trim(t, true)
	}
	return pruned, err
}

func (s *Store) trim(t jobs.Trim, careful bool) (pruned int, err error) {
	head, floor := s.tail.Position()
	seq := min(t.Seq, head-min(head, 1))
	c := s.newCommit(t.Retained)
	c.isolating = careful
	if err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return 0, s.storeError(err)
	}
	err = func() error {
		if seq > floor {
			if _, err := c.isolated(func() string { return "the oldest events" }, func() error { return c.do("DELETE FROM log WHERE last <= ?", int64(seq)) }); err != nil {
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
		return c.queues.saveCounts()
	}()
	if err == nil {
		err = c.noteFlushError(c.exec("COMMIT"))
	}
	if err != nil {
		if !s.write.AutocommitEnabled() {
			err = errors.Join(err, c.exec("ROLLBACK"))
		}
		return 0, s.storeError(err)
	}
	s.queueCache.apply(&c.queues)
	s.tail.Trimmed(max(seq, floor))
	defer s.folder.Acknowledge(head)
	if pruned > 0 || seq > floor {
		err = s.noteFlushError(sqlitex.ExecuteTransient(s.write, "PRAGMA incremental_vacuum("+strconv.Itoa(vacuumPages)+")", nil))
	}
	return pruned, s.storeError(err)
}

// noteFlushError records an error of flushing to the disk. Unless the disk is full, the
// outcome is unknown, and a later flush that succeeds proves nothing: Commit fails from then
// on.
func (s *Store) noteFlushError(err error) error {
	if known := s.storeError(err); known != nil && !errors.Is(known, jobs.ErrNoSpace) && !errors.Is(known, jobs.ErrDamaged) {
		s.failed = fmt.Errorf("deleting what is out of its retention: %w", err)
	}
	return err
}

// prune deletes jobs whose retention has ended.
func (c *commit) prune(before time.Time, limit int) (pruned int, err error) {
	var old []int64
	if err := sqlitex.Execute(c.write, "SELECT n FROM jobs WHERE retained IS NOT NULL AND retained < ? ORDER BY retained LIMIT ?+0",
		&sqlitex.ExecOptions{Args: []any{before.UnixMilli(), limit}, ResultFunc: func(st *sqlite.Stmt) error {
			old = append(old, st.ColumnInt64(0))
			return nil
		}}); err != nil {
		return 0, err
	}
	for _, n := range old {
		damage, err := c.isolated(func() string { return "deleting a job" }, func() error { return c.pruneJob(n, before) })
		if err != nil {
			return 0, err
		}
		if damage == nil {
			pruned++
		}
	}
	if err := c.do("DELETE FROM keys WHERE n BETWEEN ? AND -1", -before.UnixMilli()); err != nil {
		return 0, err
	}
	return pruned, c.do("DELETE FROM gone WHERE until < ?", before.UnixMilli())
}

// pruneJob deletes a job with all that belongs to it.
func (c *commit) pruneJob(n int64, now time.Time) error {
	var q *queue
	var state jobs.State
	id := make([]byte, 16)
	if err := sqlitex.Execute(c.write, "SELECT id, q, state FROM jobs WHERE n=?", &sqlitex.ExecOptions{Args: []any{n}, ResultFunc: func(st *sqlite.Stmt) error {
		st.ColumnBytes(0, id)
		q, state = c.queueCache.numbered(st.ColumnInt64(1)), jobs.State(st.ColumnInt(2))
		return nil
	}}); err != nil || q == nil {
		return err
	}
	if err := c.remove(n, id, q.Tenant, now); err != nil {
		return err
	}
	c.queues.move(q, state, 0)
	return nil
}

// remove deletes a job with all that belongs to it.
func (c *commit) remove(n int64, id []byte, tenant string, now time.Time) error {
	for _, step := range []struct {
		sql  string
		args []any
	}{
		{"INSERT OR REPLACE INTO gone (id, tenant, until) VALUES (?, ?, ?)", []any{id, tenant, now.Add(deletedJobMemory).UnixMilli()}},
		{"DELETE FROM payloads WHERE id BETWEEN ? AND ?", []any{n * 4, n*4 + 3}},
		{removeTags, []any{n, n}},
		{"UPDATE keys SET n=-until WHERE n=?", []any{n}}, // a key outlives its job
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

// deleteJob deletes a finished job at once.
func (c *commit) deleteJob(ch *jobs.Change, r *changedRow) error {
	if err := c.rows.flush(); err != nil {
		return err
	}
	ch.Job.Version, ch.Event.Prev = r.job.Version+1, r.job.Seq
	c.events.add(&ch.Job, &ch.Event)
	c.queues.move(c.queueCache.named(ch.Job.Tenant, ch.Job.Queue), ch.If.State, 0)
	return c.remove(int64(ch.Job.N), ch.Job.ID[:], ch.Job.Tenant, c.now)
}
