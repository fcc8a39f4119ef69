package sqlite

import (
	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"

	"jobhub/jobs"
)

// This file reads the jobs that decide about a change.

// askPeers calls Decide with the peers of a change. It returns the changes to apply before
// it, or the outcome of the change.
func (l *lookup) askPeers(ch *jobs.Change) (before []*jobs.Change, outcome, err error) {
	for _, p := range ch.Peers {
		peers, err := l.peers(ch.Job.Tenant, int64(ch.Job.N), p)
		if err != nil {
			return nil, nil, err
		}
		if len(peers) == 0 {
			continue
		}
		more, outcome := p.Decide(peers)
		if outcome != nil {
			return nil, outcome, nil
		}
		before = append(before, more...)
	}
	return before, nil, nil
}

const (
	unfinishedUnique   = "SELECT n FROM jobs WHERE unique_key=+? AND unique_key IS NOT NULL AND state <= 5 AND created > ?+0 ORDER BY n DESC LIMIT ?+0"
	newestUnique       = "SELECT n FROM jobs WHERE unique_key=+? AND unique_key IS NOT NULL AND state=" // and one state
	unfinishedSchedule = "SELECT n FROM jobs WHERE schedule=+? AND schedule IS NOT NULL AND state <= 5 AND q IN (SELECT q FROM queues WHERE tenant=+?) ORDER BY n DESC LIMIT ?+0"
)

// peers reads the peers of a job, without the job itself.
func (l *lookup) peers(tenant string, self int64, p *jobs.Peers) (list []jobs.Job, err error) {
	since := int64(0)
	if !p.Since.IsZero() {
		since = p.Since.UnixMilli()
	}
	var found []int64
	find := func(sql string, args ...any) error {
		return sqlitex.Execute(l.conn, sql, &sqlitex.ExecOptions{Args: args, ResultFunc: func(st *sqlite.Stmt) error {
			found = append(found, st.ColumnInt64(0))
			return nil
		}})
	}
	if p.Schedule != "" {
		err = find(unfinishedSchedule, p.Schedule, tenant, jobs.MaxPeers)
	} else {
		err = find(unfinishedUnique, p.UniqueKey, since, jobs.MaxPeers)
		for _, state := range []jobs.State{jobs.Succeeded, jobs.Failed, jobs.Cancelled} {
			if err == nil && p.Finished {
				err = find(newestUnique+stateLiteral(state)+" ORDER BY n DESC LIMIT 1", p.UniqueKey)
			}
		}
	}
	for _, n := range found {
		if err != nil {
			return nil, err
		}
		var job jobs.Job
		if job, err = l.job(n); job.Tenant == tenant && n != self && job.CreatedAt.UnixMilli() > since {
			list = append(list, job)
		}
	}
	newestFirst(list)
	return list, err
}
