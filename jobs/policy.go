package jobs

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// This file decides what becomes of a job. Each function returns the change that
// carries the decision out; the store applies it only if the job is still as it was.

// change is a transition of job into a state. It panics on one that the table does
// not know: that is a defect of this package, not of a caller.
func change(job Job, was Guard, to State, fields Field) *Change {
	if !was.State.CanBecome(to) {
		panic("jobs: no transition from " + was.State.String() + " to " + to.String())
	}
	job.State = to
	c := &Change{Job: job, If: was, Fields: fields | FieldState, Event: Event{Type: eventOf[to]}}
	switch {
	case was.State == 0:
	case c.Fields.Has(FieldResult) && c.Job.resultSize() > 2*MaxEventData: // do not write what is not kept
		c.Event.Truncated = true
	default:
		c.Event.Data = c.Job.ChangedData(c.Fields)
	}
	return c
}

func finish(job Job, was Guard, to State, reason Reason, fields Field) *Change {
	job.Reason, job.FinishedAt, job.WakeAt, job.Lease = reason, time.Now().Truncate(time.Millisecond), time.Time{}, ""
	job.RetainedUntil = job.FinishedAt.Add(job.Retention)
	return change(job, was, to, fields|FieldFinished|FieldRetained|FieldWake|FieldLease)
}

// release gives a running job back as if this attempt had not begun.
func release(job Job) *Change {
	was := Guard{State: Running, Lease: job.Lease}
	job.Attempt--
	job.Lease, job.WakeAt = "", time.Time{}
	if job.CancelRequested {
		return finish(job, was, Cancelled, ByUser, FieldAttempt)
	}
	return change(job, was, Queued, FieldAttempt|FieldLease|FieldWake)
}

// interrupt is release where the attempt may have had its effect already: a job that
// must not run again ends.
func interrupt(job Job) *Change {
	if job.NeverRerun && !job.CancelRequested {
		return lostForGood(job, "The worker was lost while it ran the job; whether the work was done is unknown.")
	}
	return release(job)
}

func lostForGood(job Job, detail string) *Change {
	was := Guard{State: Running, Lease: job.Lease}
	job.Error = newProblem("worker_lost", "Worker lost", "%s", detail)
	return finish(job, was, Failed, WorkerLost, FieldError|FieldLost)
}

// maxLost is how many workers in a row may be lost with a job: then it is taken to be
// what kills them. For a job that ran in the hub itself, a crash of the hub counts.
const maxLost = 3

// lose decides what follows from the loss of a worker: its lease was not renewed, or it was
// a handler of the hub and the hub crashed.
func lose(job Job) *Change {
	job.Lost++
	if job.Lost >= maxLost && !job.CancelRequested {
		by := "the worker"
		if strings.HasPrefix(job.Lease, inProcess) {
			by = "the hub"
		}
		return lostForGood(job, fmt.Sprintf("%d times in a row %s was lost while it ran the job, so the job is not tried again. Whether the work was done is unknown.", job.Lost, by))
	}
	c := interrupt(job)
	c.Fields |= FieldLost
	return c
}

// snooze puts a running job off without spending the attempt.
func snooze(job Job, delay time.Duration) *Change {
	if job.CancelRequested {
		return release(job)
	}
	was := Guard{State: Running, Lease: job.Lease}
	at := time.Now().Add(delay + time.Millisecond - 1).Truncate(time.Millisecond)
	job.Attempt--
	job.Lease, job.ScheduledAt, job.WakeAt, job.Lost = "", at, at, 0
	return change(job, was, Scheduled, FieldAttempt|FieldLease|FieldScheduled|FieldWake|FieldLost)
}

// accept is the insertion of a new job.
func accept(job Job) *Change {
	c := change(job, Guard{}, job.State, 0)
	c.Event.Data = job.acceptedData()
	return c
}

// settle decides what follows from the end of an attempt; cause is why its context
// ended, if it did.
func settle(job Job, res Result, err, cause error) *Change {
	was := Guard{State: Running, Lease: job.Lease}
	job.Result, job.Response, job.Error = res.Value, res.Response, nil
	if err == nil {
		return finish(job, was, Succeeded, "", FieldResult|FieldError)
	}
	if errors.Is(cause, ErrCancelRequested) || job.CancelRequested {
		job.Result, job.Response = nil, nil
		return finish(job, was, Cancelled, ByUser, 0)
	}
	if errors.Is(cause, ErrDraining) {
		return interrupt(job)
	}
	if later, ok := errors.AsType[*Snoozed](err); ok && cause == nil {
		return snooze(job, later.Delay)
	}
	var failure *Failure
	if errors.Is(cause, ErrTimeout) {
		failure = &Failure{Problem: newProblem("timeout", "Timed out", "The attempt ran longer than its timeout of %s.", job.Timeout)}
	} else if !errors.As(err, &failure) {
		failure = &Failure{Problem: newProblem("handler_failed", "The handler failed", "%s", err.Error())}
	}
	if job.Error = failure.Problem; job.Error == nil {
		job.Error = newProblem("handler_failed", "The handler failed", "It gave no reason.")
	}
	switch {
	case failure.Never:
		return finish(job, was, Failed, Rejected, FieldResult|FieldError)
	case job.Attempt >= job.MaxAttempts && errors.Is(cause, ErrTimeout):
		return finish(job, was, Failed, TimedOut, FieldResult|FieldError)
	case job.Attempt >= job.MaxAttempts:
		return finish(job, was, Failed, Exhausted, FieldResult|FieldError)
	}
	wait := failure.After
	if !failure.Exactly {
		wait = max(wait, job.Backoff.Delay(job.Attempt))
	}
	at := time.Now().Add(wait + time.Millisecond - 1).Truncate(time.Millisecond)
	job.Result, job.Response = nil, nil
	job.Lease, job.ScheduledAt, job.WakeAt, job.Lost = "", at, at, 0
	return change(job, was, Retrying, FieldError|FieldLease|FieldScheduled|FieldWake|FieldLost)
}

// enqueue lets a job join its queue. Before its first start its time there may be limited.
func enqueue(job Job, was Guard, now time.Time) *Change {
	job.WakeAt = time.Time{}
	if job.StartedAt.IsZero() && job.QueueTimeout > 0 {
		job.ExpiresAt = now.Truncate(time.Millisecond).Add(job.QueueTimeout)
		job.WakeAt = job.ExpiresAt
	}
	return change(job, was, Queued, FieldWake|FieldExpires)
}

// due decides about a job whose time has come; nil if nothing is to be done yet.
func due(job Job, now time.Time) *Change {
	was := Guard{job.State, job.Lease, job.Version}
	switch job.State {
	case Waiting:
		if job.ParentFailed {
			job.Error = newProblem("parent", "Not run", "A job that this one waited for did not succeed.")
			return finish(job, was, Cancelled, ByParent, FieldError)
		}
		if job.ScheduledAt.After(now) {
			job.WakeAt = job.ScheduledAt
			return change(job, was, Scheduled, FieldWake)
		}
		return enqueue(job, was, now)
	case Scheduled, Retrying:
		return enqueue(job, was, now)
	case Queued:
		if !job.ExpiresAt.IsZero() && !now.Before(job.ExpiresAt) {
			job.Error = newProblem("expired", "Expired", "The job waited in its queue longer than its queue timeout and was not run.")
			return finish(job, was, Failed, Expired, FieldError)
		}
	case Running:
		if job.CancelRequested {
			return finish(job, was, Cancelled, ByUser, 0)
		}
	}
	return nil
}
