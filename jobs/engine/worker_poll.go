package engine

import (
	"context"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine/attempt"
	"jobhub/jobs/engine/commit"
	"jobhub/jobs/engine/transition"
)

// Lease waits for jobs for a worker, a command to it, or the end of wait. It returns up to
// most jobs, never more than the worker has free slots.
func (ws *Workers) Lease(ctx context.Context, tenant, id string, most int, wait time.Duration) (LeaseReply, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	ws.mu.Lock()
	defer ws.mu.Unlock()
	leave, err := ws.countCallLocked(tenant, id)
	if err != nil {
		return LeaseReply{}, err
	}
	defer leave()
	for {
		w, err := ws.getLocked(tenant, id)
		if err != nil {
			return LeaseReply{}, err
		}
		w.seen = time.Now()
		ws.changed(tenant)
		over := false
		if w.directive == DirectiveRun && !ws.claims.draining {
			jobs, done, err := ws.waitForJobsLocked(ctx, w, most, timer.C)
			if len(jobs) > 0 || err != nil {
				return LeaseReply{Jobs: jobs, Leases: ws.leaseStatesLocked(w, nil), Directive: w.directive}, err
			}
			over = done
		} else if !w.hasNews && w.directive != DirectiveTerminate {
			over = ws.waitLocked(ctx, w, timer.C)
		}
		if w.hasNews || over || w.directive == DirectiveTerminate || ctx.Err() != nil {
			w.hasNews = false
			return LeaseReply{Leases: ws.leaseStatesLocked(w, nil), Directive: w.directive}, nil
		}
	}
}

// waitForJobsLocked waits for jobs, a command or the end of the time. It unlocks ws.mu while
// it waits.
func (ws *Workers) waitForJobsLocked(ctx context.Context, w *worker, most int, over <-chan time.Time) (leased []jobs.Job, done bool, err error) {
	if ws.freeSlotsLocked(w) <= 0 || w.hasNews {
		if w.hasNews {
			return nil, false, nil
		}
		return nil, ws.waitLocked(ctx, w, over), nil
	}
	got := make(chan []jobs.Job, 1)
	c := &claimer{tenant: w.tenant, kinds: w.kinds, queues: w.queues, prefix: transition.ByWorker, wantsJobs: true, worker: w,
		freeSlots: func() int { return min(most, ws.freeSlotsLocked(w)) }}
	c.assign = func(claimed []jobs.Job) {
		ws.claims.removeLocked(c)
		for _, j := range claimed {
			w.holds[j.Lease] = true
			ws.leases[j.Lease] = newLease(j, attempt.NewReporter(ws.commits, j), w.id, time.Now().Add(ws.leaseTime))
			ws.upkeep.setBy(ws.leases[j.Lease].deadline())
		}
		ws.changed(w.tenant)
		for i := range claimed {
			claimed[i].Input = claimed[i].Credentials.Join(claimed[i].Input)
		}
		got <- claimed
	}
	tried := make(chan struct{})
	c.polled = tried
	ws.claims.claimers = append(ws.claims.claimers, c)
	ws.commits.Trigger(true)
	ws.mu.Unlock()
	select { // a call with no wait gets the jobs that are ready, too
	case <-tried:
	case <-ws.failed:
	case <-ws.claims.drained:
	case <-ctx.Done():
	}
	ws.mu.Lock()
	if len(got) == 0 && !w.hasNews {
		done = ws.waitLocked(ctx, w, over, got)
	}
	for c.claim != nil { // its claim is in a batch: wait for the outcome
		ws.mu.Unlock()
		ws.commits.WaitForBatch()
		ws.mu.Lock()
	}
	ws.claims.removeLocked(c)
	select {
	case leased = <-got:
	default:
	}
	if ctx.Err() != nil { // the caller is gone: give the jobs back
		for _, j := range leased {
			ws.endLeaseLocked(j.Lease, false)
		}
		ws.mu.Unlock()
		ws.giveBack(leased)
		ws.mu.Lock()
		return nil, true, commit.GivenUp(ctx)
	}
	return leased, done, nil
}

// freeSlotsLocked is how many slots of a worker are free: not used by jobs that it holds, nor
// by claims of its other polls.
func (ws *Workers) freeSlotsLocked(w *worker) int { return w.Slots - len(w.holds) - w.claiming }

// giveBack releases jobs that were claimed for a worker but not delivered to it.
func (ws *Workers) giveBack(claimed []jobs.Job) {
	for _, j := range claimed {
		if err := ws.commits.Put(context.Background(), commit.NewOp(transition.Release(j))); err != nil {
			ws.log.Warn("giving a job back", "job", j.ID, "error", err)
		}
	}
}

// waitLocked waits for news for a worker, jobs in got, or the end of the time; the last
// returns true. It unlocks ws.mu while it waits.
func (ws *Workers) waitLocked(ctx context.Context, w *worker, over <-chan time.Time, got ...chan []jobs.Job) (done bool) {
	wake, drained := w.wake, ws.claims.drained
	if ws.claims.draining {
		drained = nil // known already: wait only for the time or a command
	}
	w.waiting++
	ws.mu.Unlock()
	defer func() {
		ws.mu.Lock()
		w.waiting--
		w.seen = time.Now()
		ws.changed(w.tenant)
	}()
	var jobs chan []jobs.Job
	if len(got) > 0 {
		jobs = got[0]
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

// Beat renews the leases with these tokens and returns the state of each. With wait it also
// waits up to that long for a command.
func (ws *Workers) Beat(ctx context.Context, tenant, id string, tokens []string, wait time.Duration) (LeaseReply, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	ws.mu.Lock()
	defer ws.mu.Unlock()
	leave, err := ws.countCallLocked(tenant, id)
	if err != nil {
		return LeaseReply{}, err
	}
	defer leave()
	w := ws.all[id]
	w.seen = time.Now()
	for _, token := range tokens {
		_, lease, err := parseToken(token)
		if h := ws.leases[lease]; err == nil && h != nil && h.job.Tenant == tenant {
			if old := ws.all[h.worker]; old != nil && old != w {
				delete(old.holds, lease)
			}
			h.worker, h.until = id, time.Now().Add(ws.leaseTime)
			w.holds[lease] = true
			ws.upkeep.setBy(h.deadline())
		}
	}
	ws.changed(tenant)
	if wait > 0 && !w.hasNews && w.directive == DirectiveRun {
		ws.waitLocked(ctx, w, timer.C)
	}
	w.hasNews = false
	return LeaseReply{Leases: ws.leaseStatesLocked(w, tokens), Directive: w.directive}, nil
}

// leaseStatesLocked are the states of the leases with these tokens, or of all that the worker
// holds if tokens is nil. The grace of a cancellation begins when it is reported here.
func (ws *Workers) leaseStatesLocked(w *worker, tokens []string) map[string]LeaseState {
	states := map[string]LeaseState{}
	for _, token := range w.lost {
		states[token] = LeaseLost
	}
	w.lost = nil
	for _, token := range tokens {
		_, lease, err := parseToken(token)
		if states[token] = LeaseLost; err == nil {
			states[token] = ws.leaseStateLocked(w.tenant, lease)
		}
	}
	if tokens == nil {
		for lease := range w.holds {
			states[Token(&ws.leases[lease].job)] = ws.leaseStateLocked(w.tenant, lease)
		}
	}
	return states
}

func (ws *Workers) leaseStateLocked(tenant, lease string) LeaseState {
	h := ws.leases[lease]
	if h == nil || h.job.Tenant != tenant {
		return LeaseLost
	}
	if !h.job.CancelRequested {
		return LeaseOK
	}
	if h.cancelSentAt.IsZero() {
		h.cancelSentAt = time.Now()
		ws.upkeep.setBy(h.deadline())
	}
	return LeaseCancel
}

// countCallLocked counts a call of a worker against its limit until leave is called.
func (ws *Workers) countCallLocked(tenant, id string) (leave func(), err error) {
	w, err := ws.getLocked(tenant, id)
	if err != nil {
		return nil, err
	}
	if w.calls >= w.Slots+MaxSpareCalls {
		return nil, jobs.NewProblem(jobs.LimitExceeded, "Too many calls", "%d calls of this worker wait already. Wait for one to be answered.", w.calls)
	}
	w.calls++
	return func() { w.calls-- }, nil
}

// notifyLocked wakes the waiting calls of a worker because of a command.
func (ws *Workers) notifyLocked(id string) {
	if w := ws.all[id]; w != nil {
		w.hasNews = true
		w.wakeCalls()
	}
}

// wakeCalls wakes the waiting calls of a worker.
func (w *worker) wakeCalls() {
	close(w.wake)
	w.wake = make(chan struct{})
}
