package sqlite

import (
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
)

// writeSettings writes settings and makes jobs ready that the former limit held back.
func (c *commit) writeSettings(ch *jobs.QueueChange) error {
	q, err := c.queues.of(jobs.QueueName{Tenant: ch.Tenant, Name: ch.Name})
	if err != nil {
		return err
	}
	if err := c.queues.writeSettings(q, ch.Settings); err != nil {
		return err
	}
	if ch.Event.Type != 0 {
		c.events.add(&jobs.Job{Tenant: ch.Tenant, Queue: ch.Name}, &ch.Event)
	}
	var keys []string
	if err := sqlitex.Execute(c.write, "SELECT DISTINCT key FROM jobs WHERE q=+? AND held IS NOT NULL", &sqlitex.ExecOptions{Args: []any{q.id},
		ResultFunc: func(st *sqlite.Stmt) error { keys = append(keys, st.ColumnText(0)); return nil }}); err != nil {
		return err
	}
	for _, key := range keys {
		if err := c.marks.promote(q, key); err != nil {
			return err
		}
	}
	return nil
}
