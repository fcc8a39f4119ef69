package sqlite

import (
	"sync"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
)

// queue is the cached row of a queue. Only the writer changes counts and settings.
type queue struct {
	id int64
	jobs.QueueName
	counts   counts
	settings jobs.QueueSettings
}

// counts are the numbers of jobs by state.
type counts = [9]int64

// queueCache holds the rows of all queues. Its methods are safe for concurrent use.
type queueCache struct {
	mu     sync.RWMutex // protects the fields below
	byName map[jobs.QueueName]*queue
	byID   map[int64]*queue
}

func newQueueCache() *queueCache {
	return &queueCache{byName: map[jobs.QueueName]*queue{}, byID: map[int64]*queue{}}
}

func (c *queueCache) load(conn *sqlite.Conn) error {
	return sqlitex.Execute(conn, "SELECT q, tenant, name, counts, settings FROM queues", &sqlitex.ExecOptions{ResultFunc: func(st *sqlite.Stmt) error {
		q, err := scanQueue(st)
		c.add(&q)
		return err
	}})
}

// named returns the queue of that name; nil if there is none.
func (c *queueCache) named(tenant, name string) *queue {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byName[jobs.QueueName{Tenant: tenant, Name: name}]
}

// numbered returns the queue of that id; nil if there is none.
func (c *queueCache) numbered(id int64) *queue {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.byID[id]
}

// selected returns the ids of the queues that a filter selects, and whether these are all.
func (c *queueCache) selected(f jobs.Filter) (ids []int64, all bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for name, q := range c.byName {
		if (f.Tenant == "" || name.Tenant == f.Tenant) && (f.Queue == "" || name.Name == f.Queue) {
			ids = append(ids, q.id)
		}
	}
	return ids, len(ids) == len(c.byName)
}

func (c *queueCache) add(q *queue) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byName[q.QueueName], c.byID[q.id] = q, q
}

// forget removes queues whose creation was rolled back.
func (c *queueCache) forget(made []*queue) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, q := range made {
		delete(c.byName, q.QueueName)
		delete(c.byID, q.id)
	}
}

// apply takes in the changes of a durable transaction.
func (c *queueCache) apply(changes *queueChanges) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for q, by := range changes.counts {
		for i, n := range by {
			q.counts[i] += n
		}
	}
	for q, settings := range changes.written {
		q.settings = settings
	}
}
