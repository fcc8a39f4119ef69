package engine

import (
	"context"
	"errors"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine/attempt"
	"jobhub/jobs/engine/commit"
	"jobhub/jobs/engine/transition"
)

// workerLease is the lease of an outside worker on an attempt. Its end is kept in memory
// only: after a restart each lease gets a new period anyway, so that renewing one costs no
// write.
type workerLease struct {
	job          jobs.Job
	worker       string    // id; empty after a restart, until somebody renews it
	until        time.Time // of the lease
	cancelSentAt time.Time // when the worker was asked to stop; zero if it was not

	reporting chan struct{}     // has an element while a call with reports is served
	reports   *attempt.Reporter // used by that call
}

func newLease(job jobs.Job, reports *attempt.Reporter, worker string, until time.Time) *workerLease {
	return &workerLease{job: job, reports: reports, worker: worker, until: until, reporting: make(chan struct{}, 1)}
}

// adopt registers a lease that a former process gave.
func (ws *Workers) adopt(job jobs.Job) {
	ws.leases[job.Lease] = newLease(job, attempt.Continue(ws.commits, job), "", time.Now().Add(ws.leaseTime))
}

// deadline is the earliest time at which the lease ends: by silence, timeout or cancellation.
func (h *workerLease) deadline() time.Time {
	at := h.until
	if end := h.job.StartedAt.Add(h.job.Timeout); end.Before(at) {
		at = end
	}
	if !h.cancelSentAt.IsZero() {
		if end := h.cancelSentAt.Add(jobs.CancelGrace); end.Before(at) {
			at = end
		}
	}
	return at
}

// deadlineChange is the change to store after the deadline has passed.
func (h *workerLease) deadlineChange(now time.Time) *jobs.Change {
	job := h.job
	switch {
	case !h.cancelSentAt.IsZero() && !now.Before(h.cancelSentAt.Add(jobs.CancelGrace)):
		return transition.StopNow(job)
	case !now.Before(job.StartedAt.Add(job.Timeout)):
		return transition.Settle(job, jobs.Result{}, jobs.ErrTimeout, jobs.ErrTimeout)
	}
	return transition.WorkerLost(job)
}

// endLeaseLocked removes a lease that has ended. With lost, its worker will be told that it
// lost it.
func (ws *Workers) endLeaseLocked(name string, lost bool) {
	h := ws.leases[name]
	if h == nil {
		return
	}
	delete(ws.leases, name)
	ws.changed(h.job.Tenant)
	if lost {
		ws.lostLeases++
	}
	if w := ws.all[h.worker]; w != nil {
		delete(w.holds, name)
		if lost {
			w.lost = append(w.lost, Token(&h.job))
			w.hasNews = true
		}
		w.wakeCalls()
	}
}

// expire ends leases after their deadline, removes silent workers, and returns when it has to
// run again; the zero time for never.
func (ws *Workers) expire(ctx context.Context, now time.Time) (next time.Time) {
	var ended []*commit.Op
	ws.mu.Lock()
	for name, h := range ws.leases {
		if at := h.deadline(); at.After(now) {
			next = earlierTime(next, at)
			continue
		}
		ended = append(ended, commit.NewOp(h.deadlineChange(now)))
		ws.endLeaseLocked(name, true)
	}
	for _, w := range ws.all {
		if at := w.seen.Add(2 * ws.leaseTime); at.After(now) || w.waiting > 0 || len(w.holds) > 0 {
			next = earlierTime(next, laterTime(at, now.Add(time.Second)))
		} else {
			ws.removeLocked(w)
		}
	}
	ws.mu.Unlock()
	for _, o := range ended {
		if err := ws.commits.DoWhenSpace(ctx, o); err != nil && ctx.Err() == nil && !errors.Is(err, jobs.ErrConflict) {
			ws.log.Error("ending a lease", "job", o.Change.Job.ID, "error", err)
		}
	}
	return next
}
