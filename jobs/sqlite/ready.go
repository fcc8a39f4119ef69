package sqlite

import (
	"errors"
	"maps"

	"zombiezen.com/go/sqlite"

	"jobhub/jobs"
)

// This file decides which queued jobs are ready. A job without keys is ready as soon as it is
// queued. One with an ordering key first has to be the oldest unfinished job of that key. One
// with a fair key then needs room under the limit of that key. A change that makes room (an
// end, a retry, a claim) makes the next job ready in the same commit.

// promoteOthers makes jobs ready, and wakes waiting ones, that the new state of a job allows
// to continue.
func (c *commit) promoteOthers(q *queue, j *jobs.Job) error {
	if j.OrderingKey != "" || j.FairKey != "" {
		if err := c.rows.flush(); err != nil {
			return err
		}
	}
	if j.State == jobs.Queued && (j.OrderingKey != "" || j.FairKey != "") {
		first := true
		if j.OrderingKey != "" {
			oldest, _, err := c.marks.firstInOrder(q, j.OrderingKey)
			if err != nil {
				return err
			}
			first = oldest == int64(j.N)
		}
		if first {
			if err := c.marks.makeReadyOrHold(q, int64(j.N), j.FairKey, j.Kind); err != nil {
				return err
			}
		}
	}
	if j.State.Final() {
		if j.OrderingKey != "" {
			if err := c.marks.nextInOrder(q, j.OrderingKey); err != nil {
				return err
			}
		}
		if err := c.wakeDependents(j); err != nil {
			return err
		}
	}
	if j.FairKey != "" && j.State != jobs.Queued {
		return c.marks.promote(q, j.FairKey)
	}
	return nil
}

// readyMarks sets and moves the marks of ready jobs in one commit. Changed rows have to be
// flushed before, except for set.
type readyMarks struct {
	conn   *sqlite.Conn
	queues *queueChanges
	events *newEvents
	lanes  map[lane]bool     // lanes that may hold ready jobs; of the store
	became map[jobs.Lane]int // jobs that became ready
}

// save returns the present state as a function that returns to it. Lanes may be too many.
func (m *readyMarks) save() (restore func()) {
	became := maps.Clone(m.became)
	return func() { m.became = became }
}

// orderHead is the oldest unfinished job of an ordering key.
type orderHead struct {
	key, kind string
	queued    bool // and neither ready nor held
}

func (m *readyMarks) firstInOrder(q *queue, orderingKey string) (n int64, who orderHead, err error) {
	st := m.conn.Prep("SELECT n, ifnull(key, ''), kind, state=2 AND ready IS NULL AND held IS NULL FROM jobs WHERE q=+? AND ordering_key=+? AND ordering_key IS NOT NULL AND state <= 5 ORDER BY n LIMIT 1")
	st.BindInt64(1, q.id)
	st.BindText(2, orderingKey)
	found, err := st.Step()
	if found {
		n, who = st.ColumnInt64(0), orderHead{st.ColumnText(1), st.ColumnText(2), st.ColumnBool(3)}
	}
	return n, who, errors.Join(err, st.Reset())
}

func (m *readyMarks) nextInOrder(q *queue, orderingKey string) error {
	n, who, err := m.firstInOrder(q, orderingKey)
	if err != nil || n == 0 || !who.queued {
		return err
	}
	return m.makeReadyOrHold(q, n, who.key, who.kind)
}

// makeReadyOrHold makes a job ready that is first of its ordering key. With a fair key it is
// held until there is room for it.
func (m *readyMarks) makeReadyOrHold(q *queue, n int64, key, kind string) error {
	if key == "" {
		return m.makeReady(q, n, kind)
	}
	if err := execute(m.conn, "UPDATE jobs SET held=1 WHERE n=?", n); err != nil {
		return err
	}
	return m.promote(q, key)
}

// set records that a lane has got a ready job.
func (m *readyMarks) set(q *queue, kind string) {
	m.lanes[lane{q.id, kind}] = true
	m.became[jobs.Lane{QueueName: q.QueueName, Kind: kind}]++
}

func (m *readyMarks) makeReady(q *queue, n int64, kind string) error {
	m.set(q, kind)
	return execute(m.conn, "UPDATE jobs SET ready=?, held=NULL WHERE n=?", int64(m.events.seq), n)
}

// promote makes held jobs of a key ready while there is room.
func (m *readyMarks) promote(q *queue, key string) error {
	for {
		room, err := m.keyHasRoom(q, key)
		if err != nil || !room {
			return err
		}
		var n int64
		var kind string
		st := m.conn.Prep("SELECT n, kind FROM jobs WHERE q=+? AND key=+? AND held IS NOT NULL ORDER BY priority DESC, n LIMIT 1")
		st.BindInt64(1, q.id)
		st.BindText(2, key)
		found, err := st.Step()
		if found {
			n, kind = st.ColumnInt64(0), st.ColumnText(1)
		}
		if err := errors.Join(err, st.Reset()); err != nil || !found {
			return err
		}
		if err := m.makeReady(q, n, kind); err != nil {
			return err
		}
	}
}

// maxReady is how many jobs of one key are ready at a time, whatever its limit. Each that
// starts makes room for the next.
const maxReady = 100

// keyHasRoom reports whether one more job of a key may be ready.
func (m *readyMarks) keyHasRoom(q *queue, key string) (bool, error) {
	limit, sql := int64(1), "SELECT count(*), count(*) FROM (SELECT 1 FROM jobs WHERE q=+? AND key=+? AND key IS NOT NULL AND (ready IS NOT NULL OR state = 3) AND ready IS NOT NULL LIMIT ?+0)"
	if per := m.queues.settings(q).PerKey; per > 0 {
		limit, sql = int64(per), "SELECT count(*), count(ready) FROM (SELECT ready FROM jobs WHERE q=+? AND key=+? AND key IS NOT NULL AND (ready IS NOT NULL OR state = 3) LIMIT ?+0)"
	}
	st := m.conn.Prep(sql)
	st.BindInt64(1, q.id)
	st.BindText(2, key)
	st.BindInt64(3, limit)
	found, err := st.Step()
	room := found && st.ColumnInt64(0) < limit && st.ColumnInt64(1) < maxReady
	return room, errors.Join(err, st.Reset())
}
