package sqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
	"jobhub/jobs/sqlite/eventlog"
)

// commit is a batch while it is stored. Changes of the store's memory are collected here
// until the transaction is durable.
type commit struct {
	*Store
	now          time.Time
	seq          uint64
	events       []*jobs.Event
	countChanges map[*queue]*counts // changes of the counters, by queue
	newQueues    []*queue
	newSettings  map[*queue]jobs.QueueSettings // settings that this commit has written
	woken        bool                          // the WakeAt of other jobs was set to now
	becameReady  map[jobs.Lane]int             // jobs that became ready
	rows         map[uint64]*changedRow        // jobs that changed and are not written yet, by N
	changedRows  []*changedRow                 // the same, in the order of their first change

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
		s.forgetQueues(c.newQueues)
		c = s.newCommit(b.Now)
		c.isolating = true
		err = c.transact(b)
	}
	if err != nil {
		s.full = errors.Is(err, jobs.ErrNoSpace)
		s.forgetQueues(c.newQueues)
		if e := s.loadLanes(); e != nil { // claims may have removed lanes whose jobs are ready again after the rollback
			err = errors.Join(err, e)
		}
		return err
	}
	s.moveCounts(c.countChanges)
	s.mu.Lock()
	for q, settings := range c.newSettings {
		q.settings = settings
	}
	s.mu.Unlock()
	s.folder.Acknowledge(c.seq)
	s.tail.Publish(c.events)
	b.Woken, b.Ready = c.woken, c.becameReady
	return nil
}

func (s *Store) newCommit(now time.Time) *commit {
	head, _ := s.tail.Position()
	return &commit{Store: s, now: now, seq: head, countChanges: map[*queue]*counts{}, becameReady: map[jobs.Lane]int{}, rows: map[uint64]*changedRow{}}
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
		damage, err := c.isolated(func() string { return "the document " + d.Kind + " " + d.Name }, func() (err error) { d.Err, err = c.document(d); return err })
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
	if err := c.flush(); err != nil {
		return err
	}
	for _, cl := range b.Claims {
		if err := c.claim(cl); err != nil {
			return err
		}
	}
	if len(c.events) > 0 {
		if err := c.log(); err != nil {
			return fmt.Errorf("the log: %w", err)
		}
	}
	return c.saveCounts()
}

func (c *commit) exec(sql string) error { return run(c.write.Prep(sql)) }

func (c *commit) do(sql string, args ...any) error {
	return sqlitex.Execute(c.write, sql, &sqlitex.ExecOptions{Args: args})
}

// change applies one change. outcome is the outcome for the caller, err an error of the
// database.
func (c *commit) change(ch *jobs.Change) (outcome, err error) {
	if ch.If.State == 0 {
		return c.insert(ch, true)
	}
	r, err := c.row(ch.Job.N)
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
		if r, err = c.row(ch.Job.N); err != nil {
			return nil, err
		}
	}
	copyFields(&r.job, &ch.Job, ch.Fields)
	r.fields, r.dirty = r.fields|ch.Fields, true
	if ch.Event.Type != 0 {
		if ch.Event.Type.Lasting() {
			r.job.Version++
		}
		ch.Event.Prev, r.job.Seq = r.job.Seq, c.seq+1
		ch.Job.Version = r.job.Version
		c.addEvent(&ch.Job, &ch.Event)
	}
	if !ch.Fields.Has(jobs.FieldState) {
		return nil, c.follow(ch)
	}
	q := c.queue(ch.Job.Tenant, ch.Job.Queue)
	c.moveCount(q, ch.If.State, ch.Job.State)
	if r.ready = ch.Job.State == jobs.Queued && ch.Job.OrderingKey == "" && ch.Job.FairKey == ""; r.ready {
		r.readyAt = c.seq
		c.markReady(q, ch.Job.Kind)
	}
	if err := c.promoteOthers(q, &ch.Job); err != nil {
		return nil, err
	}
	return nil, c.follow(ch)
}

// job reads a whole job with the changes that were flushed.
func (c *commit) job(n int64) (job jobs.Job, err error) {
	st := c.write.Prep("SELECT " + jobColumns + " FROM jobs WHERE n=?")
	st.BindInt64(1, n)
	far := false
	found, err := st.Step()
	if found {
		job, far, err = c.scanJob(st, 0)
	}
	if err := errors.Join(err, st.Reset()); err != nil {
		return job, err
	}
	return job, loadPayloads(c.write, &job, far)
}

// addEvent numbers an event and adds it to the commit.
func (c *commit) addEvent(j *jobs.Job, e *jobs.Event) {
	c.seq++
	e.Seq, e.At, e.Version = c.seq, c.now, j.Version
	e.Job, e.Tenant, e.Queue, e.Kind, e.Tags = j.ID, j.Tenant, j.Queue, j.Kind, j.Tags
	j.Seq = c.seq
	ev := *e // a copy, so that the change with its payloads can be freed before the event
	c.events = append(c.events, &ev)
}

func (c *commit) log() error {
	st := c.write.Prep("INSERT INTO log (last, events) VALUES (?, ?)")
	st.BindInt64(1, int64(c.seq))
	st.BindBytes(2, eventlog.Encode(nil, c.events))
	return run(st)
}

func (s *Store) forgetQueues(made []*queue) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, q := range made {
		delete(s.queues, q.QueueName)
		delete(s.byID, q.id)
	}
}
