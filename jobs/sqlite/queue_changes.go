package sqlite

import (
	"maps"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"zombiezen.com/go/sqlite"

	"jobhub/jobs"
)

// queueChanges are the changes of queues in one transaction: new queues, settings, and the
// counters of jobs by state. The cache learns of them when the transaction is durable, except
// of new queues, which it holds at once.
type queueChanges struct {
	conn    *sqlite.Conn
	cache   *queueCache
	made    []*queue
	counts  map[*queue]*counts // by how much counters change
	written map[*queue]jobs.QueueSettings
}

func newQueueChanges(conn *sqlite.Conn, cache *queueCache) queueChanges {
	return queueChanges{conn: conn, cache: cache, counts: map[*queue]*counts{}, written: map[*queue]jobs.QueueSettings{}}
}

// of returns the queue of that name, and creates it if there is none.
func (c *queueChanges) of(name jobs.QueueName) (*queue, error) {
	if q := c.cache.named(name.Tenant, name.Name); q != nil {
		return q, nil
	}
	text, _ := json.Marshal(counts{})
	if err := execute(c.conn, "INSERT INTO queues (tenant, name, counts, settings) VALUES (?, ?, ?, '{}')", name.Tenant, name.Name, string(text)); err != nil {
		return nil, err
	}
	q := &queue{id: c.conn.LastInsertRowID(), QueueName: name}
	c.cache.add(q)
	c.made = append(c.made, q)
	return q, nil
}

func (c *queueChanges) settings(q *queue) jobs.QueueSettings {
	if s, ok := c.written[q]; ok {
		return s
	}
	return q.settings
}

func (c *queueChanges) writeSettings(q *queue, s jobs.QueueSettings) error {
	text, err := json.Marshal(s, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return err
	}
	c.written[q] = s
	return execute(c.conn, "UPDATE queues SET settings=? WHERE q=?", string(text), q.id)
}

// count is the number of jobs of a queue in a state.
func (c *queueChanges) count(q *queue, s jobs.State) int64 {
	n := q.counts[s]
	if by := c.counts[q]; by != nil {
		n += by[s]
	}
	return n
}

// move counts a job that goes from one state to another. The zero State stands for a job that
// does not exist.
func (c *queueChanges) move(q *queue, from, to jobs.State) {
	by := c.counts[q]
	if by == nil {
		by = new(counts)
		c.counts[q] = by
	}
	if from != 0 {
		by[from]--
	}
	if to != 0 {
		by[to]++
	}
}

// hasRoom reports whether one more job may wait in a queue after the changes in before are
// applied.
func (c *queueChanges) hasRoom(q *queue, before []*jobs.Change) bool {
	most := int64(c.settings(q).Capacity)
	if most == 0 {
		return true
	}
	waiting := int64(0)
	for _, s := range []jobs.State{jobs.Scheduled, jobs.Queued, jobs.Retrying, jobs.Waiting} {
		waiting += c.count(q, s)
	}
	for _, ch := range before {
		if ch.Job.Queue == q.Name && ch.Job.State.Final() && ch.If.State != jobs.Running {
			waiting--
		}
	}
	return waiting < most
}

// saveCounts writes the counters that changed.
func (c *queueChanges) saveCounts() error {
	st := c.conn.Prep("UPDATE queues SET counts=? WHERE q=?")
	for q, by := range c.counts {
		sum := q.counts
		for i, n := range by {
			sum[i] += n
		}
		text, _ := json.Marshal(sum)
		st.BindText(1, string(text))
		st.BindInt64(2, q.id)
		if err := run(st); err != nil {
			return err
		}
	}
	return nil
}

// undo forgets the queues that were created.
func (c *queueChanges) undo() { c.cache.forget(c.made) }

// save returns the present state as a function that returns to it.
func (c *queueChanges) save() (restore func()) {
	made, written, before := len(c.made), maps.Clone(c.written), map[*queue]counts{}
	for q, by := range c.counts {
		before[q] = *by
	}
	return func() {
		c.cache.forget(c.made[made:])
		c.made, c.written = c.made[:made], written
		clear(c.counts)
		for q, by := range before {
			c.counts[q] = &by
		}
	}
}
