package sqlite

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"jobhub/jobs"
)

type candidate struct {
	n, q, priority, ready int64
	key                   string
}

// claim starts ready jobs for a claim, the first by priority and age in all lanes that it
// covers. Starting a job may make another one of its key ready, so it searches again until
// nothing was started.
func (c *commit) claim(cl *jobs.Claim) error {
	for len(cl.Jobs) < len(cl.Leases) {
		best, err := c.best(cl)
		if err != nil {
			return err
		}
		before, passed := len(cl.Jobs), len(c.unreadable)
		for _, b := range best {
			if len(cl.Jobs) == len(cl.Leases) {
				break
			}
			q := c.queueCache.numbered(b.q)
			if c.slotsLeft(cl, q) <= 0 || cl.Share != nil && !cl.Share.Fits(q.QueueName, b.key) {
				cl.Limited = true
				continue
			}
			job, ok, err := c.startAttemptAlone(b.n, cl.Leases[len(cl.Jobs)], cl.Follow)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			if n, ok := cl.Allow[q.QueueName]; ok {
				cl.Allow[q.QueueName] = n - 1
			}
			if cl.Share != nil {
				cl.Share.Acquire(q.QueueName, b.key)
			}
			cl.Jobs = append(cl.Jobs, job)
		}
		if len(cl.Jobs) == before && len(c.unreadable) == passed {
			return nil
		}
	}
	return nil
}

// best returns ready jobs from all lanes that the claim covers, in order.
func (c *commit) best(cl *jobs.Claim) (best []candidate, err error) {
	for l := range c.ready {
		q := c.queueCache.numbered(l.q)
		if !cl.Covers(jobs.Lane{QueueName: q.QueueName, Kind: l.kind}) {
			continue
		}
		n := min(c.slotsLeft(cl, q), len(cl.Leases)-len(cl.Jobs))
		if n <= 0 || cl.Share != nil && !cl.Share.Fits(q.QueueName, "") {
			cl.Limited = true
			continue
		}
		found, passed, err := c.candidates(cl.Share, q, l, n+len(c.unreadable))
		if err != nil {
			return nil, fmt.Errorf("the ready jobs of kind %s: %w", l.kind, err)
		}
		if cl.Limited = cl.Limited || passed; len(found) == 0 && !passed {
			delete(c.ready, l)
		}
		found = c.readable(found)
		best = append(best, found[:min(n, len(found))]...)
	}
	slices.SortFunc(best, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(a.ready, b.ready), cmp.Compare(a.n, b.n))
	})
	return best, nil
}

// slotsLeft is how many more jobs of a queue the claim may start.
func (c *commit) slotsLeft(cl *jobs.Claim, q *queue) int {
	s := c.queues.settings(q)
	if s.Paused != nil {
		return 0
	}
	left := math.MaxInt
	if s.Concurrency > 0 {
		left = s.Concurrency - int(c.queues.count(q, jobs.Running))
	}
	if allow, ok := cl.Allow[q.QueueName]; ok {
		left = min(left, allow)
	}
	return left
}

// candidates are the first ready jobs of a lane, and whether some were skipped because their
// keys hold enough slots. Few are skipped: of one key at most maxReady jobs are ready.
func (c *commit) candidates(share *jobs.Share, q *queue, l lane, limit int) (found []candidate, passed bool, err error) {
	st := c.write.Prep("SELECT n, priority, ready, key FROM jobs WHERE q=+? AND kind=+? AND ready IS NOT NULL ORDER BY priority DESC, ready")
	st.BindInt64(1, l.q)
	st.BindText(2, l.kind)
	for len(found) < limit {
		more, err := st.Step()
		if err != nil || !more {
			return found, passed, errors.Join(err, st.Reset())
		}
		one := candidate{st.ColumnInt64(0), l.q, st.ColumnInt64(1), st.ColumnInt64(2), st.ColumnText(3)}
		if one.key != "" && share != nil && !share.Fits(q.QueueName, one.key) {
			passed = true
			continue
		}
		found = append(found, one)
	}
	return found, passed, st.Reset()
}

// startAttempt makes a ready job running.
func (c *commit) startAttempt(n int64, lease string, follow func(*jobs.Job) []*jobs.Change) (job jobs.Job, err error) {
	if job, err = c.stored.job(n); err != nil {
		return job, err
	}
	prev := job.Seq
	job.Version, job.Attempt, job.Start, job.State, job.Lease, job.StartedAt = job.Version+1, job.Attempt+1, job.Start+1, jobs.Running, lease, c.now
	job.WakeAt, job.Reported, job.Output = time.Time{}, 0, 0
	st := c.write.Prep("UPDATE jobs SET version=?, seq=?, state=?, ready=NULL, wake=NULL, lease=?, reported=0, output=0, started=?, attempt=?, start=? WHERE n=?")
	p := binder{Stmt: st}
	p.int(int64(job.Version))
	p.int(int64(c.events.seq + 1))
	p.int(int64(jobs.Running))
	p.text(lease)
	p.time(c.now)
	p.int(int64(job.Attempt))
	p.int(int64(job.Start))
	p.int(n)
	if err := run(st); err != nil {
		return job, err
	}
	e := jobs.Event{Type: jobs.JobStarted, Prev: prev, Data: job.ChangedData(jobs.FieldState | jobs.FieldAttempt | jobs.FieldStarted)}
	q := c.queueCache.named(job.Tenant, job.Queue)
	c.queues.move(q, jobs.Queued, jobs.Running)
	c.events.add(&job, &e)
	if job.FairKey != "" {
		if err := c.marks.promote(q, job.FairKey); err != nil {
			return job, err
		}
	}
	if follow == nil {
		return job, nil
	}
	return job, c.insertAll(follow(&job))
}
