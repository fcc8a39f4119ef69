package engine

import (
	"time"

	"jobhub/jobs"
)

// workerLease is the lease of an outside worker on an attempt. Its end is kept in memory
// only: after a restart each lease gets a new period anyway, so that renewing one costs no
// write.
type workerLease struct {
	run          *attemptRun
	worker       string    // id; empty after a restart, until somebody renews it
	until        time.Time // of the lease
	cancelSentAt time.Time // when the worker was asked to stop; zero if it was not

	reporting chan struct{} // has an element while a call with reports is served
}

// adopt registers a lease that a former process gave.
func (e *Engine) adopt(job jobs.Job) {
	r := &attemptRun{engine: e, job: job, off: job.Output, reported: job.Reported, lastProgress: job.Progress}
	e.leases[job.Lease] = newWorkerLease(r, "", time.Now().Add(e.leaseTime))
}

func newWorkerLease(r *attemptRun, worker string, until time.Time) *workerLease {
	return &workerLease{run: r, worker: worker, until: until, reporting: make(chan struct{}, 1)}
}

// deadline is the earliest time at which the lease ends: by silence, timeout or cancellation.
func (h *workerLease) deadline() time.Time {
	at := h.until
	if end := h.run.job.StartedAt.Add(h.run.job.Timeout); end.Before(at) {
		at = end
	}
	if !h.cancelSentAt.IsZero() {
		if end := h.cancelSentAt.Add(CancelGrace); end.Before(at) {
			at = end
		}
	}
	return at
}

// deadlineChange is the change to store after the deadline has passed.
func (h *workerLease) deadlineChange(now time.Time) *jobs.Change {
	job := h.run.job
	switch {
	case !h.cancelSentAt.IsZero() && !now.Before(h.cancelSentAt.Add(CancelGrace)):
		return finish(job, jobs.Condition{State: jobs.Running, Lease: job.Lease}, jobs.Cancelled, jobs.ByUser, 0)
	case !now.Before(job.StartedAt.Add(job.Timeout)):
		return settle(job, jobs.Result{}, jobs.ErrTimeout, jobs.ErrTimeout)
	}
	return workerLost(job)
}

// endLeaseLocked removes a lease that has ended. With lost, its worker will be told that it
// lost it.
func (e *Engine) endLeaseLocked(lease string, lost bool) {
	h := e.leases[lease]
	if h == nil {
		return
	}
	delete(e.leases, lease)
	if lost {
		e.lostLeases++
	}
	if w := e.workers[h.worker]; w != nil {
		delete(w.holds, lease)
		if lost {
			w.lost = append(w.lost, Token(&h.run.job))
			w.hasNews = true
		}
		w.wakeCalls()
	}
}
