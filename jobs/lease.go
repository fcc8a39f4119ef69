package jobs

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"
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

// MaxCheckpoint is the largest checkpoint, in bytes of JSON.
const MaxCheckpoint = 64 << 10

// Token is how an outside worker names its lease: the job's id and the random lease.
func Token(j *Job) string { return j.ID.String() + "." + j.Lease }

func parseToken(token string) (id ID, lease string, err error) {
	name, lease, ok := strings.Cut(token, ".")
	if id, err = uuid.Parse(name); err != nil || !ok || !strings.HasPrefix(lease, byWorker) {
		return ID{}, "", ErrLeaseLost
	}
	return id, lease, nil
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

// upkeep ends leases whose time is over, lets rates go on, forgets silent workers, and
// looks after retention.
func (e *Engine) upkeep(ctx context.Context) (next time.Time) {
	now := time.Now()
	if !now.Before(e.nextLogTrim) {
		e.trimLog(ctx)
		e.nextLogTrim = now.Add(retentionInterval)
	}
	next = earlierTime(e.nextLogTrim, e.deleteExpiredJobs(ctx, now))
	var ended []*op
	e.mu.Lock()
	for lease, h := range e.leases {
		if at := h.deadline(); at.After(now) {
			next = earlierTime(next, at)
			continue
		}
		ended = append(ended, newOp(h.deadlineChange(now)))
		e.endLeaseLocked(lease, true)
	}
	for _, w := range e.workers {
		if at := w.seen.Add(2 * e.leaseTime); at.After(now) || w.waiting > 0 || len(w.holds) > 0 {
			next = earlierTime(next, laterTime(at, now.Add(time.Second)))
		} else {
			e.removeWorkerLocked(w)
		}
	}
	for _, k := range e.buckets {
		if !k.empty {
			continue
		}
		if k.refill(now); k.tokens < 1 {
			next = earlierTime(next, k.next())
			continue
		}
		k.empty = false
		e.retryLimitedLocked()
		e.commits.trigger(true)
	}
	e.mu.Unlock()
	for _, o := range ended {
		if err := e.commits.doWhenSpace(ctx, o); err != nil && ctx.Err() == nil && !errors.Is(err, ErrConflict) {
			e.log.Error("ending a lease", "job", o.change.Job.ID, "error", err)
		}
	}
	return next
}

func earlierTime(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func laterTime(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
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

// Verbs by which a worker ends an attempt.
const (
	verbComplete = "complete"
	verbFail     = "fail"
	verbSnooze   = "snooze"
	verbRelease  = "release"
)

// Complete ends an attempt with its result. The first verb wins: repeating it gives the
// job as it is, another one ErrConflict, and an old lease ErrLeaseLost.
func (e *Engine) Complete(ctx context.Context, tenant, token string, result Value) (Job, Position, error) {
	result, err := jsonMember("/result", result, MaxDepth)
	if err != nil {
		return Job{}, Position{}, err
	}
	return e.endAttempt(ctx, tenant, token, verbComplete, func(j Job) *Change { return settle(j, Result{Value: result}, nil, nil) })
}

// Fail ends an attempt that did not work out. f says whether and when to try again.
func (e *Engine) Fail(ctx context.Context, tenant, token string, f *Failure) (Job, Position, error) {
	return e.endAttempt(ctx, tenant, token, verbFail, func(j Job) *Change { return settle(j, Result{}, f, nil) })
}

// Snooze puts the job off; the attempt does not count.
func (e *Engine) Snooze(ctx context.Context, tenant, token string, delay time.Duration) (Job, Position, error) {
	return e.endAttempt(ctx, tenant, token, verbSnooze, func(j Job) *Change { return snooze(j, delay) })
}

// Release gives the job back; the attempt does not count. A checkpoint is kept for the next.
func (e *Engine) Release(ctx context.Context, tenant, token string, checkpoint Value) (Job, Position, error) {
	checkpoint, err := jsonMember("/checkpoint", checkpoint, MaxDepth)
	if err != nil {
		return Job{}, Position{}, err
	}
	return e.endAttempt(ctx, tenant, token, verbRelease, func(j Job) *Change {
		c := release(j)
		if checkpoint != nil {
			c.Job.Checkpoint = checkpoint
			c.Fields |= FieldCheckpoint
		}
		return c
	})
}

func (e *Engine) endAttempt(ctx context.Context, tenant, token, verb string, decide func(Job) *Change) (Job, Position, error) {
	id, lease, err := parseToken(token)
	if err != nil {
		return Job{}, Position{}, err
	}
	job, pos, err := e.store.Job(ctx, tenant, id)
	if err != nil {
		return Job{}, pos, err
	}
	if job.State != Running || job.Lease != lease {
		return job, pos, settledAs(&job, lease, verb)
	}
	var c *Change
	if bad := e.catchPanic("the outcome of an attempt", id, func() { c = decide(job) }); bad != nil {
		return Job{}, pos, bad
	}
	c.Job.Settled, c.Job.Lost = lease+" "+verb, 0
	c.Fields |= FieldSettled | FieldLost
	o := newOp(c)
	o.bytes += len(c.Job.Result)
	err = e.commits.do(ctx, o)
	if err == nil || errors.Is(err, ErrConflict) {
		e.mu.Lock()
		e.endLeaseLocked(lease, false)
		e.mu.Unlock()
	}
	if err != nil && !errors.Is(err, ErrConflict) {
		return Job{}, pos, e.storeProblem(err)
	}
	now, pos, readErr := e.store.Job(context.WithoutCancel(ctx), tenant, id)
	if readErr != nil || err == nil {
		return now, pos, readErr
	}
	return now, pos, settledAs(&now, lease, verb) // somebody was faster
}

// settledAs says what a verb means for a lease that is not running any more.
func settledAs(job *Job, lease, verb string) error {
	by, how, _ := strings.Cut(job.Settled, " ")
	switch {
	case by != lease:
		return ErrLeaseLost
	case how != verb:
		return newProblem(Conflict, "Already ended", "This attempt was ended with %s before.", how)
	}
	return nil
}
