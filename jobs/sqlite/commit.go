package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
)

// commit is a batch while it is stored. Changes of the store's memory are collected in its
// parts until the transaction is durable:
//
//	transact ─ apply ─┬─ change, insert, relocate …   each change of the batch
//	                  ├─ rows.flush                   the changed jobs
//	                  ├─ claim ─ startAttempt         what claimers take
//	                  └─ events.write, queues.saveCounts
type commit struct {
	*Store
	now    time.Time
	stored lookup
	events newEvents
	queues queueChanges
	rows   changedRows
	marks  readyMarks
	woken  bool // the WakeAt of other jobs was set to now

	isolating bool // damage fails only the part of the batch that meets it
}

// Commit implements jobs.Store.
func (s *Store) Commit(ctx context.Context, b *jobs.Batch) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	if s.write == nil {
		return jobs.ErrClosed
	}
	if s.failed != nil {
		return s.failed
	}
	if s.full {
		if err := s.findSpace(); err != nil {
			return err
		}
	}
	c := s.newCommit(b.Now)
	allow := make([]map[jobs.QueueName]int, len(b.Claims))
	for i, cl := range b.Claims {
		allow[i] = maps.Clone(cl.Allow)
	}
	err := c.transact(b)
	if errors.Is(err, jobs.ErrDamaged) {
		for i, cl := range b.Claims {
			cl.Jobs, cl.Limited, cl.Allow = nil, false, allow[i]
		}
		c.queues.undo()
		c = s.newCommit(b.Now)
		c.isolating = true
		err = c.transact(b)
	}
	if err != nil {
		s.full = errors.Is(err, jobs.ErrNoSpace)
		c.queues.undo()
		if e := s.loadLanes(); e != nil { // claims may have removed lanes whose jobs are ready again after the rollback
			err = errors.Join(err, e)
		}
		return err
	}
	s.queueCache.apply(&c.queues)
	s.folder.Acknowledge(c.events.seq)
	s.tail.Publish(c.events.list)
	b.Woken, b.Ready = c.woken, c.marks.became
	return nil
}

func (s *Store) newCommit(now time.Time) *commit {
	head, _ := s.tail.Position()
	c := &commit{Store: s, now: now, stored: lookup{s.write, s.queueCache}, events: newEvents{now: now, seq: head}, queues: newQueueChanges(s.write, s.queueCache),
		rows: changedRows{conn: s.write, updates: s.updates, byN: map[uint64]*changedRow{}}}
	c.marks = readyMarks{conn: s.write, queues: &c.queues, events: &c.events, lanes: s.ready, became: map[jobs.Lane]int{}}
	return c
}

func (c *commit) transact(b *jobs.Batch) (err error) {
	if err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return c.storeError(err)
	}
	defer func() {
		if err != nil && !c.write.AutocommitEnabled() {
			if e := c.exec("ROLLBACK"); e != nil {
				err = fmt.Errorf("%v, and then rolling back: %w", err, e)
			}
		}
	}()
	if err := c.apply(b); err != nil {
		return c.storeError(err)
	}
	return c.storeError(c.exec("COMMIT"))
}

// apply applies all changes of a batch, and sets the outcome of each.
func (c *commit) apply(b *jobs.Batch) (err error) {
	for _, ch := range b.Queues {
		if ch.Err, err = c.isolated(func() string { return "the settings of queue " + ch.Name }, func() error { return c.writeSettings(ch) }); err != nil {
			return err
		}
	}
	for _, d := range b.Documents {
		damage, err := c.isolated(func() string { return "the document " + d.Kind + " " + d.Name }, func() (err error) { d.Err, err = changeDocument(c.write, d); return err })
		if err != nil {
			return err
		}
		d.Err = cmp.Or(damage, d.Err)
	}
	for _, ch := range b.Changes {
		damage, err := c.isolated(func() string { return "a change of job " + ch.Job.ID.String() }, func() (err error) { ch.Err, err = c.change(ch); return err })
		if err != nil {
			return err
		}
		ch.Err = cmp.Or(damage, ch.Err)
	}
	if err := c.rows.flush(); err != nil {
		return err
	}
	for _, cl := range b.Claims {
		if err := c.claim(cl); err != nil {
			return err
		}
	}
	if err := c.events.write(c.write); err != nil {
		return fmt.Errorf("the log: %w", err)
	}
	return c.queues.saveCounts()
}

func (c *commit) exec(sql string) error { return run(c.write.Prep(sql)) }

func (c *commit) do(sql string, args ...any) error { return execute(c.write, sql, args...) }

func execute(conn *sqlite.Conn, sql string, args ...any) error {
	return sqlitex.Execute(conn, sql, &sqlitex.ExecOptions{Args: args})
}

// change applies one change. outcome is the outcome for the caller, err an error of the
// database.
func (c *commit) change(ch *jobs.Change) (outcome, err error) {
	if ch.If.State == 0 {
		return c.insert(ch, true)
	}
	r, err := c.rows.get(ch.Job.N)
	if err != nil {
		return nil, err
	}
	if r == nil || r.job.State != ch.If.State || r.job.Lease != ch.If.Lease || ch.If.Version != 0 && r.job.Version != ch.If.Version {
		return jobs.ErrConflict, nil
	}
	if ch.Delete {
		return nil, c.deleteJob(ch, r)
	}
	if ch.Fields.Has(jobs.FieldQueue) || ch.Fields.Has(jobs.FieldTags) {
		if outcome, err = c.relocate(ch); err != nil || outcome != nil {
			return outcome, err
		}
		if r, err = c.rows.get(ch.Job.N); err != nil {
			return nil, err
		}
	}
	copyFields(&r.job, &ch.Job, ch.Fields)
	r.fields, r.dirty = r.fields|ch.Fields, true
	if ch.Event.Type != 0 {
		if ch.Event.Type.Lasting() {
			r.job.Version++
		}
		ch.Event.Prev, r.job.Seq = r.job.Seq, c.events.seq+1
		ch.Job.Version = r.job.Version
		c.events.add(&ch.Job, &ch.Event)
	}
	if !ch.Fields.Has(jobs.FieldState) {
		return nil, c.follow(ch)
	}
	q := c.queueCache.named(ch.Job.Tenant, ch.Job.Queue)
	c.queues.move(q, ch.If.State, ch.Job.State)
	if r.ready = ch.Job.State == jobs.Queued && ch.Job.OrderingKey == "" && ch.Job.FairKey == ""; r.ready {
		r.readyAt = c.events.seq
		c.marks.set(q, ch.Job.Kind)
	}
	if err := c.promoteOthers(q, &ch.Job); err != nil {
		return nil, err
	}
	return nil, c.follow(ch)
}
