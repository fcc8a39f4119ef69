package sqlite

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"zombiezen.com/go/sqlite/sqlitex"

	"zombiezen.com/go/sqlite"

	"jobhub/jobs"
)

func (s *Store) queue(tenant, name string) *queue {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.queues[jobs.QueueName{Tenant: tenant, Name: name}]
}

func (c *commit) makeQueue(name jobs.QueueName) (*queue, error) {
	if q := c.queue(name.Tenant, name.Name); q != nil {
		return q, nil
	}
	text, _ := json.Marshal(counts{})
	if err := c.do("INSERT INTO queues (tenant, name, counts, settings) VALUES (?, ?, ?, '{}')", name.Tenant, name.Name, string(text)); err != nil {
		return nil, err
	}
	q := &queue{id: c.write.LastInsertRowID(), QueueName: name}
	c.mu.Lock()
	c.queues[name], c.byID[q.id] = q, q
	c.mu.Unlock()
	c.newQueues = append(c.newQueues, q)
	return q, nil
}

// settings are the settings of a queue, with the changes of this commit.
func (c *commit) settings(q *queue) jobs.QueueSettings {
	if s, ok := c.newSettings[q]; ok {
		return s
	}
	return q.settings
}

// count is the number of jobs of a queue in a state, with the changes of this commit.
func (c *commit) count(q *queue, s jobs.State) int64 {
	n := q.counts[s]
	if by := c.countChanges[q]; by != nil {
		n += by[s]
	}
	return n
}

// waiting is how many jobs count against a queue's capacity.
func (c *commit) waiting(q *queue) (n int64) {
	for _, s := range []jobs.State{jobs.Scheduled, jobs.Queued, jobs.Retrying, jobs.Waiting} {
		n += c.count(q, s)
	}
	return n
}

// writeSettings writes settings and makes jobs ready that the former limit held back.
func (c *commit) writeSettings(ch *jobs.QueueChange) error {
	q, err := c.makeQueue(jobs.QueueName{Tenant: ch.Tenant, Name: ch.Name})
	if err != nil {
		return err
	}
	text, err := json.Marshal(ch.Settings, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return err
	}
	if err := c.do("UPDATE queues SET settings=? WHERE q=?", string(text), q.id); err != nil {
		return err
	}
	if c.newSettings == nil {
		c.newSettings = map[*queue]jobs.QueueSettings{}
	}
	c.newSettings[q] = ch.Settings
	if ch.Event.Type != 0 {
		c.addEvent(&jobs.Job{Tenant: ch.Tenant, Queue: ch.Name}, &ch.Event)
	}
	var keys []string
	if err := sqlitex.Execute(c.write, "SELECT DISTINCT key FROM jobs WHERE q=+? AND held IS NOT NULL", &sqlitex.ExecOptions{Args: []any{q.id},
		ResultFunc: func(st *sqlite.Stmt) error { keys = append(keys, st.ColumnText(0)); return nil }}); err != nil {
		return err
	}
	for _, key := range keys {
		if err := c.promote(q, key); err != nil {
			return err
		}
	}
	return nil
}

// queueHasRoom reports whether one more job may wait in a queue after the changes in before
// are applied.
func (c *commit) queueHasRoom(q *queue, before []*jobs.Change) bool {
	most := int64(c.settings(q).Capacity)
	if most == 0 {
		return true
	}
	waiting := c.waiting(q)
	for _, ch := range before {
		if ch.Job.Queue == q.Name && ch.Job.State.Final() && ch.If.State != jobs.Running {
			waiting--
		}
	}
	return waiting < most
}
