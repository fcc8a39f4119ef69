package sqlite

import (
	"errors"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
)

// This file decides which queued jobs are ready. A job without keys is ready as soon as
// it is queued. One with an ordering key first has to be the oldest unfinished job of
// that key; then, with a key, there has to be room under the key's limit. What lets
// others pass (an end, a retry, a claim) makes the next one ready in the same commit.

// passOn does what follows for lines and waiting jobs from the new state of a job.
func (c *commit) passOn(q *queue, j *jobs.Job) error {
	if j.OrderingKey != "" || j.FairKey != "" {
		if err := c.flush(); err != nil {
			return err
		}
	}
	if j.State == jobs.Queued && (j.OrderingKey != "" || j.FairKey != "") {
		first := true
		if j.OrderingKey != "" {
			oldest, _, err := c.firstInOrder(q, j.OrderingKey)
			if err != nil {
				return err
			}
			first = oldest == int64(j.N)
		}
		if first {
			if err := c.step(q, int64(j.N), j.FairKey, j.Kind); err != nil {
				return err
			}
		}
	}
	if j.State.Final() {
		if j.OrderingKey != "" {
			if err := c.nextInOrder(q, j.OrderingKey); err != nil {
				return err
			}
		}
		if err := c.ended(j); err != nil {
			return err
		}
	}
	if j.FairKey != "" && j.State != jobs.Queued {
		return c.promote(q, j.FairKey)
	}
	return nil
}

// candidateInOrder is the oldest unfinished job of an ordering key.
type candidateInOrder struct {
	key, kind string
	queued    bool // and neither ready nor held
}

func (c *commit) firstInOrder(q *queue, orderingKey string) (n int64, who candidateInOrder, err error) {
	st := c.write.Prep("SELECT n, ifnull(key, ''), kind, state=2 AND ready IS NULL AND held IS NULL FROM jobs WHERE q=+? AND ordering_key=+? AND ordering_key IS NOT NULL AND state <= 5 ORDER BY n LIMIT 1")
	st.BindInt64(1, q.id)
	st.BindText(2, orderingKey)
	found, err := st.Step()
	if found {
		n, who = st.ColumnInt64(0), candidateInOrder{st.ColumnText(1), st.ColumnText(2), st.ColumnBool(3)}
	}
	return n, who, errors.Join(err, st.Reset())
}

func (c *commit) nextInOrder(q *queue, orderingKey string) error {
	n, who, err := c.firstInOrder(q, orderingKey)
	if err != nil || n == 0 || !who.queued {
		return err
	}
	return c.step(q, n, who.key, who.kind)
}

// step makes a job ready whose turn it is by its ordering key, or holds it at its key.
func (c *commit) step(q *queue, n int64, key, kind string) error {
	if key == "" {
		return c.makeReady(q, n, kind)
	}
	if err := c.do("UPDATE jobs SET held=1 WHERE n=?", n); err != nil {
		return err
	}
	return c.promote(q, key)
}

// open notes that a lane has got a job.
func (c *commit) open(q *queue, kind string) {
	c.ready[lane{q.id, kind}] = true
	c.opened[jobs.Lane{QueueName: q.QueueName, Kind: kind}]++
}

func (c *commit) makeReady(q *queue, n int64, kind string) error {
	c.open(q, kind)
	return c.do("UPDATE jobs SET ready=?, held=NULL WHERE n=?", int64(c.seq), n)
}

// promote makes held jobs of a key ready while there is room.
func (c *commit) promote(q *queue, key string) error {
	for {
		room, err := c.room(q, key)
		if err != nil || !room {
			return err
		}
		var n int64
		var kind string
		st := c.write.Prep("SELECT n, kind FROM jobs WHERE q=+? AND key=+? AND held IS NOT NULL ORDER BY priority DESC, n LIMIT 1")
		st.BindInt64(1, q.id)
		st.BindText(2, key)
		found, err := st.Step()
		if found {
			n, kind = st.ColumnInt64(0), st.ColumnText(1)
		}
		if err := errors.Join(err, st.Reset()); err != nil || !found {
			return err
		}
		if err := c.makeReady(q, n, kind); err != nil {
			return err
		}
	}
}

// maxReady is how many jobs of one key are ready at a time, whatever its limit. Each that is
// taken makes room for the next.
const maxReady = 100

// room reports whether one more job of a key may be ready.
func (c *commit) room(q *queue, key string) (bool, error) {
	limit, sql := int64(1), "SELECT count(*), count(*) FROM (SELECT 1 FROM jobs WHERE q=+? AND key=+? AND key IS NOT NULL AND (ready IS NOT NULL OR state = 3) AND ready IS NOT NULL LIMIT ?+0)"
	if per := c.settings(q).PerKey; per > 0 {
		limit, sql = int64(per), "SELECT count(*), count(ready) FROM (SELECT ready FROM jobs WHERE q=+? AND key=+? AND key IS NOT NULL AND (ready IS NOT NULL OR state = 3) LIMIT ?+0)"
	}
	st := c.write.Prep(sql)
	st.BindInt64(1, q.id)
	st.BindText(2, key)
	st.BindInt64(3, limit)
	found, err := st.Step()
	room := found && st.ColumnInt64(0) < limit && st.ColumnInt64(1) < maxReady
	return room, errors.Join(err, st.Reset())
}

// parents looks up the jobs to wait for: those that have not succeeded, and whether one of
// them has ended.
func (c *commit) parents(tenant string, ids []jobs.ID) (open []int64, failed bool, err error) {
	var lost []int64
	for _, id := range ids {
		found := false
		err := sqlitex.Execute(c.write, "SELECT n, state, q FROM jobs WHERE id=?", &sqlitex.ExecOptions{Args: []any{id[:]}, ResultFunc: func(st *sqlite.Stmt) error {
			c.mu.RLock()
			q := c.byID[st.ColumnInt64(2)]
			found = q != nil && q.Tenant == tenant
			c.mu.RUnlock()
			switch state := jobs.State(st.ColumnInt(1)); {
			case !state.Final():
				open = append(open, st.ColumnInt64(0))
			case state != jobs.Succeeded:
				lost, failed = append(lost, st.ColumnInt64(0)), true
			}
			return nil
		}})
		if err != nil {
			return nil, false, err
		}
		if !found {
			return nil, false, &jobs.UnknownParent{ID: id}
		}
	}
	return append(open, lost...), failed, nil
}

// ended wakes the jobs that waited for this one, if it is known now what becomes of them.
func (c *commit) ended(j *jobs.Job) error {
	var children []int64
	st := c.write.Prep("SELECT child FROM waits WHERE parent=?")
	st.BindInt64(1, int64(j.N))
	for {
		found, err := st.Step()
		if err != nil || !found {
			if err := errors.Join(err, st.Reset()); err != nil {
				return err
			}
			break
		}
		children = append(children, st.ColumnInt64(0))
	}
	if len(children) == 0 {
		return nil
	}
	if err := c.flush(); err != nil {
		return err
	}
	if j.State == jobs.Succeeded { // else a retry has to know who waited for it
		if err := c.do("DELETE FROM waits WHERE parent=?", int64(j.N)); err != nil {
			return err
		}
	}
	wake := "UPDATE jobs SET wake=? WHERE n=? AND state=5 AND NOT EXISTS (SELECT 1 FROM waits WHERE child=jobs.n)"
	if j.State != jobs.Succeeded {
		wake = "UPDATE jobs SET wake=?, parent_failed=1 WHERE n=? AND state=5"
	}
	for _, n := range children {
		if err := c.do(wake, c.now.UnixMilli(), n); err != nil {
			return err
		}
	}
	c.woken = true
	return nil
}
