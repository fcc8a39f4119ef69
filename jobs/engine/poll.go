package engine

import (
	"context"
	"slices"
	"time"

	"jobhub/jobs"
)

// Lease waits for jobs for a worker, a command to it, or the end of wait. It returns up to
// most jobs, never more than the worker has free slots.
func (e *Engine) Lease(ctx context.Context, tenant, id string, most int, wait time.Duration) (LeaseReply, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	e.mu.Lock()
	defer e.mu.Unlock()
	leave, err := e.countCallLocked(tenant, id)
	if err != nil {
		return LeaseReply{}, err
	}
	defer leave()
	for {
		w, err := e.workerLocked(tenant, id)
		if err != nil {
			return LeaseReply{}, err
		}
		w.seen = time.Now()
		over := false
		if w.directive == DirectiveRun && !e.draining {
			jobs, done, err := e.waitForJobsLocked(ctx, w, most, timer.C)
			if len(jobs) > 0 || err != nil {
				return LeaseReply{Jobs: jobs, Leases: e.leaseStatesLocked(w, nil), Directive: w.directive}, err
			}
			over = done
		} else if !w.hasNews && w.directive != DirectiveTerminate {
			over = e.waitLocked(ctx, w, timer.C)
		}
		if w.hasNews || over || w.directive == DirectiveTerminate || ctx.Err() != nil {
			w.hasNews = false
			return LeaseReply{Leases: e.leaseStatesLocked(w, nil), Directive: w.directive}, nil
		}
	}
}

// waitForJobsLocked waits for jobs, a command or the end of the time. It unlocks e.mu while
// it waits.
func (e *Engine) waitForJobsLocked(ctx context.Context, w *worker, most int, over <-chan time.Time) (leased []jobs.Job, done bool, err error) {
	if e.freeSlotsLocked(w) <= 0 || w.hasNews {
		if w.hasNews {
			return nil, false, nil
		}
		return nil, e.waitLocked(ctx, w, over), nil
	}
	got := make(chan []jobs.Job, 1)
	c := &claimer{tenant: w.tenant, kinds: w.kinds, queues: w.queues, prefix: byWorker, wantsJobs: true, worker: w,
		freeSlots: func() int { return min(most, e.freeSlotsLocked(w)) }}
	c.assign = func(claimed []jobs.Job) {
		e.removeClaimerLocked(c)
		for _, j := range claimed {
			w.holds[j.Lease] = true
			e.leases[j.Lease] = newWorkerLease(&attemptRun{engine: e, job: j}, w.id, time.Now().Add(e.leaseTime))
			e.upkeepAlarm.setBy(e.leases[j.Lease].deadline())
		}
		for i := range claimed {
			claimed[i].Input = claimed[i].Credentials.Join(claimed[i].Input)
		}
		got <- claimed
	}
	tried := make(chan struct{})
	c.polled = tried
	e.claimers = append(e.claimers, c)
	e.commits.trigger(true)
	e.mu.Unlock()
	select { // a call with no wait gets the jobs that are ready, too
	case <-tried:
	case <-e.failed:
	case <-e.drained:
	case <-ctx.Done():
	}
	e.mu.Lock()
	if len(got) == 0 && !w.hasNews {
		done = e.waitLocked(ctx, w, over, got)
	}
	for c.claim != nil { // its claim is in a batch: wait for the outcome
		e.mu.Unlock()
		e.commits.waitForBatch()
		e.mu.Lock()
	}
	e.removeClaimerLocked(c)
	select {
	case leased = <-got:
	default:
	}
	if ctx.Err() != nil { // the caller is gone: give the jobs back
		for _, j := range leased {
			e.endLeaseLocked(j.Lease, false)
		}
		e.mu.Unlock()
		e.giveBack(leased)
		e.mu.Lock()
		return nil, true, e.storeProblem(refusal{context.Cause(ctx)})
	}
	return leased, done, nil
}

// freeSlotsLocked is how many slots of a worker are free: not used by jobs that it holds, nor
// by claims of its other polls.
func (e *Engine) freeSlotsLocked(w *worker) int { return w.Slots - len(w.holds) - w.claiming }

// giveBack releases jobs that were claimed for a worker but not delivered to it.
func (e *Engine) giveBack(claimed []jobs.Job) {
	for _, j := range claimed {
		if err := e.commits.put(context.Background(), newOp(release(j))); err != nil {
			e.log.Warn("giving a job back", "job", j.ID, "error", err)
		}
	}
}

func (e *Engine) removeClaimerLocked(c *claimer) {
	e.claimers = slices.DeleteFunc(e.claimers, func(other *claimer) bool { return other == c })
}

// waitLocked waits for news for a worker, jobs in got, or the end of the time; the last
// returns true. It unlocks e.mu while it waits.
func (e *Engine) waitLocked(ctx context.Context, w *worker, over <-chan time.Time, got ...chan []jobs.Job) (done bool) {
	wake, drained := w.wake, e.drained
	w.waiting++
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		w.waiting--
		w.seen = time.Now()
	}()
	var jobs chan []jobs.Job
	if len(got) > 0 {
		jobs = got[0]
	}
	if e.isDraining() {
		drained = nil // known already: wait only for the time or a command
	}
	select {
	case <-wake:
	case <-drained:
		return true
	case list := <-jobs:
		jobs <- list
	case <-over:
		return true
	case <-ctx.Done():
		return true
	}
	return false
}

func (e *Engine) isDraining() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.draining
}

// Beat renews the leases with these tokens and returns the state of each. With wait it also
// waits up to that long for a command.
func (e *Engine) Beat(ctx context.Context, tenant, id string, tokens []string, wait time.Duration) (LeaseReply, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	e.mu.Lock()
	defer e.mu.Unlock()
	leave, err := e.countCallLocked(tenant, id)
	if err != nil {
		return LeaseReply{}, err
	}
	defer leave()
	w := e.workers[id]
	w.seen = time.Now()
	for _, token := range tokens {
		_, lease, err := parseToken(token)
		if h := e.leases[lease]; err == nil && h != nil && h.run.job.Tenant == tenant {
			if old := e.workers[h.worker]; old != nil && old != w {
				delete(old.holds, lease)
			}
			h.worker, h.until = id, time.Now().Add(e.leaseTime)
			w.holds[lease] = true
			e.upkeepAlarm.setBy(h.deadline())
		}
	}
	if wait > 0 && !w.hasNews && w.directive == DirectiveRun {
		e.waitLocked(ctx, w, timer.C)
	}
	w.hasNews = false
	return LeaseReply{Leases: e.leaseStatesLocked(w, tokens), Directive: w.directive}, nil
}

// leaseStatesLocked are the states of the leases with these tokens, or of all that the worker
// holds if tokens is nil. The grace of a cancellation begins when it is reported here.
func (e *Engine) leaseStatesLocked(w *worker, tokens []string) map[string]LeaseState {
	states := map[string]LeaseState{}
	for _, token := range w.lost {
		states[token] = LeaseLost
	}
	w.lost = nil
	for _, token := range tokens {
		_, lease, err := parseToken(token)
		if states[token] = LeaseLost; err == nil {
			states[token] = e.leaseStateLocked(w.tenant, lease)
		}
	}
	if tokens == nil {
		for lease := range w.holds {
			states[Token(&e.leases[lease].run.job)] = e.leaseStateLocked(w.tenant, lease)
		}
	}
	return states
}

func (e *Engine) leaseStateLocked(tenant, lease string) LeaseState {
	h := e.leases[lease]
	if h == nil || h.run.job.Tenant != tenant {
		return LeaseLost
	}
	if !h.run.job.CancelRequested {
		return LeaseOK
	}
	if h.cancelSentAt.IsZero() {
		h.cancelSentAt = time.Now()
		e.upkeepAlarm.setBy(h.deadline())
	}
	return LeaseCancel
}

// countCallLocked counts a call of a worker against its limit until leave is called.
func (e *Engine) countCallLocked(tenant, id string) (leave func(), err error) {
	w, err := e.workerLocked(tenant, id)
	if err != nil {
		return nil, err
	}
	if w.calls >= w.Slots+MaxSpareCalls {
		return nil, jobs.NewProblem(jobs.LimitExceeded, "Too many calls", "%d calls of this worker wait already. Wait for one to be answered.", w.calls)
	}
	w.calls++
	return func() { w.calls-- }, nil
}

// notifyWorkerLocked wakes the waiting calls of a worker because of a command.
func (e *Engine) notifyWorkerLocked(id string) {
	if w := e.workers[id]; w != nil {
		w.hasNews = true
		w.wakeCalls()
	}
}

// wakeCalls wakes the waiting calls of a worker.
func (w *worker) wakeCalls() {
	close(w.wake)
	w.wake = make(chan struct{})
}
