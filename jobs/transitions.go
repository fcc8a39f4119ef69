package jobs

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// This file decides about state transitions. Each function returns the change to store; the
// store applies it only if the job has not changed meanwhile.

// transition is the change of a job's state. It panics if the table of transitions does not
// allow it, which is a defect of this package.
func transition(job Job, was Condition, to State, fields Field) *Change {
	if !was.State.CanBecome(to) {
		panic("jobs: no transition from " + was.State.String() + " to " + to.String())
	}
	job.State = to
	c := &Change{Job: job, If: was, Fields: fields | FieldState, Event: Event{Type: eventOf[to]}}
	switch {
	case was.State == 0:
	case c.Fields.Has(FieldResult) && c.Job.resultSize() > 2*MaxEventData: // do not encode what would be dropped
		c.Event.Truncated = true
	default:
		c.Event.Data = c.Job.ChangedData(c.Fields)
	}
	return c
}

func finish(job Job, was Condition, to State, reason Reason, fields Field) *Change {
	job.Reason, job.FinishedAt, job.WakeAt, job.Lease = reason, time.Now().Truncate(time.Millisecond), time.Time{}, ""
	job.RetainedUntil = job.FinishedAt.Add(job.Retention)
	return transition(job, was, to, fields|FieldFinished|FieldRetained|FieldWake|FieldLease)
}

// release queues a running job again; the attempt does not count.
func release(job Job) *Change {
	was := Condition{State: Running, Lease: job.Lease}
	job.Attempt--
	job.Lease, job.WakeAt = "", time.Time{}
	if job.CancelRequested {
		return finish(job, was, Cancelled, ByUser, FieldAttempt)
	}
	return transition(job, was, Queued, FieldAttempt|FieldLease|FieldWake)
}

// interrupt is release for an attempt that may have had effects: a job that must not run
// again fails.
func interrupt(job Job) *Change {
	if job.NeverRerun && !job.CancelRequested {
		return failLost(job, "The worker was lost while it ran the job; whether the work was done is unknown.")
	}
	return release(job)
}

func failLost(job Job, detail string) *Change {
	was := Condition{State: Running, Lease: job.Lease}
	job.Error = NewProblem("worker_lost", "Worker lost", "%s", detail)
	return finish(job, was, Failed, WorkerLost, FieldError|FieldLost)
}

// maxLostAttempts is how many attempts in a row may lose their worker: then the job is
// assumed to kill its workers and fails. For a handler of the hub, a crash of the hub counts.
const maxLostAttempts = 3

// workerLost is the change after the worker of a job was lost: its lease was not renewed, or
// it was a handler of the hub and the hub crashed.
func workerLost(job Job) *Change {
	job.Lost++
	if job.Lost >= maxLostAttempts && !job.CancelRequested {
		by := "the worker"
		if strings.HasPrefix(job.Lease, inProcess) {
			by = "the hub"
		}
		return failLost(job, fmt.Sprintf("%d times in a row %s was lost while it ran the job, so the job is not tried again. Whether the work was done is unknown.", job.Lost, by))
	}
	c := interrupt(job)
	c.Fields |= FieldLost
	return c
}

// snooze schedules a running job again; the attempt does not count.
func snooze(job Job, delay time.Duration) *Change {
	if job.CancelRequested {
		return release(job)
	}
	was := Condition{State: Running, Lease: job.Lease}
	at := time.Now().Add(delay + time.Millisecond - 1).Truncate(time.Millisecond)
	job.Attempt--
	job.Lease, job.ScheduledAt, job.WakeAt, job.Lost = "", at, at, 0
	return transition(job, was, Scheduled, FieldAttempt|FieldLease|FieldScheduled|FieldWake|FieldLost)
}

// accept inserts a new job.
func accept(job Job) *Change {
	c := transition(job, Condition{}, job.State, 0)
	c.Event.Data = job.acceptedData()
	return c
}

// settle is the change that ends an attempt with a result or an error; cause is why its
// context ended, nil if it did not.
func settle(job Job, res Result, err, cause error) *Change {
	was := Condition{State: Running, Lease: job.Lease}
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
		failure = &Failure{Problem: NewProblem("timeout", "Timed out", "The attempt ran longer than its timeout of %s.", job.Timeout)}
	} else if !errors.As(err, &failure) {
		failure = &Failure{Problem: NewProblem("handler_failed", "The handler failed", "%s", err.Error())}
	}
	if job.Error = failure.Problem; job.Error == nil {
		job.Error = NewProblem("handler_failed", "The handler failed", "It gave no reason.")
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
	return transition(job, was, Retrying, FieldError|FieldLease|FieldScheduled|FieldWake|FieldLost)
}

// enqueue queues a job. Its queue timeout begins if it was never started.
func enqueue(job Job, was Condition, now time.Time) *Change {
	job.WakeAt = time.Time{}
	if job.StartedAt.IsZero() && job.QueueTimeout > 0 {
		job.ExpiresAt = now.Truncate(time.Millisecond).Add(job.QueueTimeout)
		job.WakeAt = job.ExpiresAt
	}
	return transition(job, was, Queued, FieldWake|FieldExpires)
}

// dueChange is the change of a job whose WakeAt has come; nil if there is nothing to do.
func dueChange(job Job, now time.Time) *Change {
	was := Condition{job.State, job.Lease, job.Version}
	switch job.State {
	case Waiting:
		if job.DependencyFailed {
			job.Error = NewProblem("parent", "Not run", "A job that this one waited for did not succeed.")
			return finish(job, was, Cancelled, ByDependency, FieldError)
		}
		if job.ScheduledAt.After(now) {
			job.WakeAt = job.ScheduledAt
			return transition(job, was, Scheduled, FieldWake)
		}
		return enqueue(job, was, now)
	case Scheduled, Retrying:
		return enqueue(job, was, now)
	case Queued:
		if !job.ExpiresAt.IsZero() && !now.Before(job.ExpiresAt) {
			job.Error = NewProblem("expired", "Expired", "The job waited in its queue longer than its queue timeout and was not run.")
			return finish(job, was, Failed, Expired, FieldError)
		}
	case Running:
		if job.CancelRequested {
			return finish(job, was, Cancelled, ByUser, 0)
		}
	}
	return nil
}
