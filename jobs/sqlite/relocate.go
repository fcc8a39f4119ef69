package sqlite

import (
	"jobhub/jobs"
)

// relocate moves a job that does not run to another queue or other tags, before the change
// itself is applied. Subscribers to the former queue and tags get an event of their own.
func (c *commit) relocate(ch *jobs.Change) (outcome, err error) {
	if err := c.rows.flush(); err != nil {
		return nil, err
	}
	old, err := c.stored.job(int64(ch.Job.N))
	if err != nil {
		return nil, err
	}
	if ch.Fields.Has(jobs.FieldQueue) {
		if outcome, err := c.moveToQueue(ch, &old); err != nil || outcome != nil {
			return outcome, err
		}
	}
	left := old
	left.Version++
	event := ch.Event
	event.Prev = old.Seq
	c.events.add(&left, &event)
	if err := c.do("UPDATE jobs SET version=?, seq=? WHERE n=?", int64(left.Version), int64(left.Seq), int64(old.N)); err != nil {
		return nil, err
	}
	if ch.Fields.Has(jobs.FieldTags) {
		if err := c.retag(ch); err != nil {
			return nil, err
		}
	}
	if !ch.Fields.Has(jobs.FieldQueue) {
		return nil, nil
	}
	return nil, c.leaveQueue(&old)
}

// moveToQueue moves a job to another queue, if that has room and no later job of the ordering
// key runs there.
func (c *commit) moveToQueue(ch *jobs.Change, old *jobs.Job) (outcome, err error) {
	if _, outcome, err := c.stored.askPeers(ch); err != nil || outcome != nil {
		return outcome, err
	}
	to, err := c.queues.of(jobs.QueueName{Tenant: old.Tenant, Name: ch.Job.Queue})
	if err != nil {
		return nil, err
	}
	if !c.queues.hasRoom(to, nil) {
		return jobs.ErrQueueFull, nil
	}
	if old.OrderingKey != "" {
		if outcome, err := c.overtake(to, old); err != nil || outcome != nil {
			return outcome, err
		}
	}
	p := binder{Stmt: c.write.Prep("UPDATE jobs SET q=?, unique_key=?, ready=NULL, held=NULL WHERE n=?")}
	p.int(to.id)
	p.bytes(ch.Job.UniqueKey)
	p.int(int64(old.N))
	if err := run(p.Stmt); err != nil {
		return nil, err
	}
	c.queues.move(c.queueCache.named(old.Tenant, old.Queue), old.State, 0)
	c.queues.move(to, 0, old.State)
	return nil, nil
}

// overtake makes the first job of an ordering key wait, if the job that moves to the queue
// was accepted before it. A running job can't be overtaken.
func (c *commit) overtake(to *queue, moved *jobs.Job) (outcome, err error) {
	n, who, err := c.marks.firstInOrder(to, moved.OrderingKey)
	if err != nil || n < int64(moved.N) {
		return nil, err
	}
	first, err := c.stored.job(n)
	if err != nil {
		return nil, err
	}
	if first.State == jobs.Running {
		return jobs.ErrOrderTaken, nil
	}
	if err := c.do("UPDATE jobs SET ready=NULL, held=NULL WHERE n=?", n); err != nil || who.key == "" {
		return nil, err
	}
	return nil, c.marks.promote(to, who.key)
}

// leaveQueue makes other jobs of its keys ready in the queue that a job has left.
func (c *commit) leaveQueue(old *jobs.Job) error {
	from := c.queueCache.named(old.Tenant, old.Queue)
	if old.OrderingKey != "" {
		if err := c.marks.nextInOrder(from, old.OrderingKey); err != nil {
			return err
		}
	}
	if old.FairKey != "" {
		return c.marks.promote(from, old.FairKey)
	}
	return nil
}

// retag gives a job its new tags.
func (c *commit) retag(ch *jobs.Change) error {
	n := int64(ch.Job.N)
	if err := c.do(removeTags, n, n); err != nil {
		return err
	}
	p := binder{Stmt: c.write.Prep("UPDATE jobs SET tags=? WHERE n=?")}
	p.tags(ch.Job.Tags)
	p.int(n)
	if err := run(p.Stmt); err != nil {
		return err
	}
	return c.addTags(ch.Job.Tags, n)
}

func (c *commit) addTags(tags []string, n int64) error {
	for _, tag := range tags {
		if err := c.do("INSERT OR IGNORE INTO tags (tag, n) VALUES (?, ?)", tag, n); err != nil {
			return err
		}
	}
	return nil
}
