package sqlite

import (
	"cmp"
	"slices"

	"jobhub/jobs"
)

type candidate struct {
	n, priority, ready int64
}

// claim gives ready jobs to a worker: the best of all lanes of its kinds.
func (c *commit) claim(cl *jobs.Claim) error {
	var best []candidate
	for l := range c.ready {
		if !slices.Contains(cl.Kinds, l.kind) {
			continue
		}
		found, err := c.candidates(l, len(cl.Leases))
		if err != nil {
			return err
		}
		if len(found) == 0 {
			delete(c.ready, l)
		}
		best = append(best, found...)
	}
	slices.SortFunc(best, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(a.ready, b.ready))
	})
	for i, lease := range cl.Leases {
		if i == len(best) {
			break
		}
		job, err := c.take(best[i].n, lease)
		if err != nil {
			return err
		}
		cl.Jobs = append(cl.Jobs, job)
	}
	return nil
}

func (c *commit) candidates(l lane, limit int) (found []candidate, err error) {
	st := c.write.Prep("SELECT n, priority, ready FROM jobs WHERE q=? AND kind=? AND ready IS NOT NULL ORDER BY priority DESC, ready LIMIT ?")
	st.BindInt64(1, l.q)
	st.BindText(2, l.kind)
	st.BindInt64(3, int64(limit))
	for {
		more, err := st.Step()
		if err != nil || !more {
			if e := st.Reset(); err == nil {
				err = e
			}
			return found, err
		}
		found = append(found, candidate{st.ColumnInt64(0), st.ColumnInt64(1), st.ColumnInt64(2)})
	}
}

// take starts an attempt.
func (c *commit) take(n int64, lease string) (job jobs.Job, err error) {
	st := c.write.Prep("UPDATE jobs SET version=version+1, prev=seq, seq=?, state=?, ready=NULL, wake=NULL, lease=?, started=?, attempt=attempt+1 WHERE n=? RETURNING " + jobColumns + ", prev")
	p := binder{Stmt: st}
	p.int(int64(c.seq + 1))
	p.int(int64(jobs.Running))
	p.text(lease)
	p.time(c.now)
	p.int(n)
	var prev uint64
	found, err := st.Step()
	if found {
		job, err = c.scanJob(st, 0)
		prev = uint64(st.ColumnInt64(jobColumnCount))
	}
	if e := st.Reset(); err == nil {
		err = e
	}
	if err != nil {
		return job, err
	}
	if err := loadPayloads(c.write, &job); err != nil {
		return job, err
	}
	e := jobs.Event{Type: jobs.JobStarted, Prev: prev, Data: job.ChangedData(jobs.FieldState | jobs.FieldAttempt | jobs.FieldStarted)}
	c.move(c.queue(job.Tenant, job.Queue), jobs.Queued, jobs.Running)
	c.tell(&job, &e)
	return job, nil
}
