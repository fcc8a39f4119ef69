package sqlite

import (
	"time"

	"zombiezen.com/go/sqlite"

	"jobhub/jobs"
	"jobhub/jobs/sqlite/eventlog"
)

// newEvents are the events of one commit, in the order of their numbers.
type newEvents struct {
	now  time.Time
	seq  uint64 // of the newest event
	list []*jobs.Event
}

// add numbers an event of a job.
func (n *newEvents) add(j *jobs.Job, e *jobs.Event) {
	n.seq++
	e.Seq, e.At, e.Version = n.seq, n.now, j.Version
	e.Job, e.Tenant, e.Queue, e.Kind, e.Tags = j.ID, j.Tenant, j.Queue, j.Kind, j.Tags
	j.Seq = n.seq
	ev := *e // a copy, so that the change with its payloads can be freed before the event
	n.list = append(n.list, &ev)
}

// write stores the events as one row of the log.
func (n *newEvents) write(conn *sqlite.Conn) error {
	if len(n.list) == 0 {
		return nil
	}
	st := conn.Prep("INSERT INTO log (last, events) VALUES (?, ?)")
	st.BindInt64(1, int64(n.seq))
	st.BindBytes(2, eventlog.Encode(nil, n.list))
	return run(st)
}

// save returns the present state as a function that returns to it.
func (n *newEvents) save() (restore func()) {
	seq, size := n.seq, len(n.list)
	return func() { n.seq, n.list = seq, n.list[:size] }
}
