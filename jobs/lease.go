package jobs

import (
	"time"
)

// workerLease is an attempt in the hands of an outside worker. When its lease ends is known
// here only: after a restart each gets a fresh period anyway, so that renewing it
// costs no write.
type workerLease struct {
	run          *Run
	worker       string    // id; empty after a restart, until somebody renews it
	until        time.Time // of the lease
	cancelSentAt time.Time // when the worker was told to cancel

	reporting chan struct{} // has an element while a call with reports is served
}

// adopt takes over a lease that a former process gave.
func (e *Engine) adopt(job Job) {
	r := &Run{engine: e, job: job, off: job.Output, reported: job.Reported, lastProgress: job.Progress}
	e.leases[job.Lease] = newWorkerLease(r, "", time.Now().Add(e.leaseTime))
}

func newWorkerLease(r *Run, worker string, until time.Time) *workerLease {
	return &workerLease{run: r, worker: worker, until: until, reporting: make(chan struct{}, 1)}
}

// deadline is when something has to be decided about a lease.
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

// deadlineChange is the change that a passed deadline causes.
func (h *workerLease) deadlineChange(now time.Time) *Change {
	job := h.run.job
	switch {
	case !h.cancelSentAt.IsZero() && !now.Before(h.cancelSentAt.Add(CancelGrace)):
		return finish(job, Condition{State: Running, Lease: job.Lease}, Cancelled, ByUser, 0)
	case !now.Before(job.StartedAt.Add(job.Timeout)):
		return settle(job, Result{}, ErrTimeout, ErrTimeout)
	}
	return workerLost(job)
}

// endLeaseLocked forgets a lease that ended; its worker has a free slot, or lost the lease.
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
