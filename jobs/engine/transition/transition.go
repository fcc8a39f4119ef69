// Package transition has the rules by which a job goes from one state to the next. Each
// function takes a job as it is stored and returns the change to store; nothing else is read
// but the clock. The store applies a change only if the job has not changed meanwhile.
package transition

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"jobhub/jobs"
)

// The first letter of a lease says who holds it.
const (
	InProcess = "h" // a handler of the hub
	ByWorker  = "w" // an outside worker
)

// transition is the change of a job's state. It panics if the table of transitions does not
// allow it, which is a defect of this package.
func transition(job jobs.Job, was jobs.Condition, to jobs.State, fields jobs.Field) *jobs.Change {
	if !was.State.CanBecome(to) {
		panic("no transition from " + was.State.String() + " to " + to.String())
	}
	job.State = to
	c := &jobs.Change{Job: job, If: was, Fields: fields | jobs.FieldState, Event: jobs.Event{Type: jobs.EventOf[to]}}
	switch {
	case was.State == 0:
	case c.Fields.Has(jobs.FieldResult) && c.Job.ResultSize() > 2*jobs.MaxEventData: // do not encode what would be dropped
		c.Event.Truncated = true
	default:
		c.Event.Data = c.Job.ChangedData(c.Fields)
	}
	return c
}

func finish(job jobs.Job, was jobs.Condition, to jobs.State, reason jobs.Reason, fields jobs.Field) *jobs.Change {
	job.Reason, job.FinishedAt, job.WakeAt, job.Lease = reason, time.Now().Truncate(time.Millisecond), time.Time{}, ""
	job.RetainedUntil = job.FinishedAt.Add(job.Retention)
	return transition(job, was, to, fields|jobs.FieldFinished|jobs.FieldRetained|jobs.FieldWake|jobs.FieldLease)
}

// Release queues a running job again; the attempt does not count.
func Release(job jobs.Job) *jobs.Change {
	was := jobs.Condition{State: jobs.Running, Lease: job.Lease}
	job.Attempt--
	job.Lease, job.WakeAt = "", time.Time{}
	if job.CancelRequested {
		return finish(job, was, jobs.Cancelled, jobs.ByUser, jobs.FieldAttempt)
	}
	return transition(job, was, jobs.Queued, jobs.FieldAttempt|jobs.FieldLease|jobs.FieldWake)
}

// interrupt is Release for an attempt that may have had effects: a job that must not run
// again fails.
func interrupt(job jobs.Job) *jobs.Change {
	if job.NeverRerun && !job.CancelRequested {
		return failLost(job, "The worker was lost while it ran the job; whether the work was done is unknown.")
	}
	return Release(job)
}

func failLost(job jobs.Job, detail string) *jobs.Change {
	was := jobs.Condition{State: jobs.Running, Lease: job.Lease}
	job.Error = jobs.NewProblem("worker_lost", "Worker lost", "%s", detail)
	return finish(job, was, jobs.Failed, jobs.WorkerLost, jobs.FieldError|jobs.FieldLost)
}

// maxLostAttempts is how many attempts in a row may lose their worker: then the job is
// assumed to kill its workers and fails. For a handler of the hub, a crash of the hub counts.
const maxLostAttempts = 3

// WorkerLost is the change after the worker of a job was lost: its lease was not renewed, or
// it was a handler of the hub and the hub crashed.
func WorkerLost(job jobs.Job) *jobs.Change {
	job.Lost++
	if job.Lost >= maxLostAttempts && !job.CancelRequested {
		by := "the worker"
		if strings.HasPrefix(job.Lease, InProcess) {
			by = "the hub"
		}
		return failLost(job, fmt.Sprintf("%d times in a row %s was lost while it ran the job, so the job is not tried again. Whether the work was done is unknown.", job.Lost, by))
	}
	c := interrupt(job)
	c.Fields |= jobs.FieldLost
	return c
}

// Snooze schedules a running job again; the attempt does not count.
func Snooze(job jobs.Job, delay time.Duration) *jobs.Change {
	if job.CancelRequested {
		return Release(job)
	}
	was := jobs.Condition{State: jobs.Running, Lease: job.Lease}
	at := time.Now().Add(delay + time.Millisecond - 1).Truncate(time.Millisecond)
	job.Attempt--
	job.Lease, job.ScheduledAt, job.WakeAt, job.Lost = "", at, at, 0
	return transition(job, was, jobs.Scheduled, jobs.FieldAttempt|jobs.FieldLease|jobs.FieldScheduled|jobs.FieldWake|jobs.FieldLost)
}

// Accept inserts a new job.
func Accept(job jobs.Job) *jobs.Change {
	c := transition(job, jobs.Condition{}, job.State, 0)
	c.Event.Data = job.AcceptedData()
	return c
}

// Settle is the change that ends an attempt with a result or an error; cause is why its
// context ended, nil if it did not.
func Settle(job jobs.Job, res jobs.Result, err, cause error) *jobs.Change {
	was := jobs.Condition{State: jobs.Running, Lease: job.Lease}
	job.Result, job.Response, job.Error = res.Value, res.Response, nil
	if err == nil {
		return finish(job, was, jobs.Succeeded, "", jobs.FieldResult|jobs.FieldError)
	}
	if errors.Is(cause, jobs.ErrCancelRequested) || job.CancelRequested {
		job.Result, job.Response = nil, nil
		return finish(job, was, jobs.Cancelled, jobs.ByUser, 0)
	}
	if errors.Is(cause, jobs.ErrDraining) {
		return interrupt(job)
	}
	if later, ok := errors.AsType[*jobs.Snoozed](err); ok && cause == nil {
		return Snooze(job, later.Delay)
	}
	var failure *jobs.Failure
	if errors.Is(cause, jobs.ErrTimeout) {
		failure = &jobs.Failure{Problem: jobs.NewProblem("timeout", "Timed out", "The attempt ran longer than its timeout of %s.", job.Timeout)}
	} else if !errors.As(err, &failure) {
		failure = &jobs.Failure{Problem: jobs.NewProblem("handler_failed", "The handler failed", "%s", err.Error())}
	}
	if job.Error = failure.Problem; job.Error == nil {
		job.Error = jobs.NewProblem("handler_failed", "The handler failed", "It gave no reason.")
	}
	switch {
	case failure.Never:
		return finish(job, was, jobs.Failed, jobs.Rejected, jobs.FieldResult|jobs.FieldError)
	case job.Attempt >= job.MaxAttempts && errors.Is(cause, jobs.ErrTimeout):
		return finish(job, was, jobs.Failed, jobs.TimedOut, jobs.FieldResult|jobs.FieldError)
	case job.Attempt >= job.MaxAttempts:
		return finish(job, was, jobs.Failed, jobs.Exhausted, jobs.FieldResult|jobs.FieldError)
	}
	wait := failure.After
	if !failure.Exactly {
		wait = max(wait, job.Backoff.Delay(job.Attempt))
	}
	at := time.Now().Add(wait + time.Millisecond - 1).Truncate(time.Millisecond)
	job.Result, job.Response = nil, nil
	job.Lease, job.ScheduledAt, job.WakeAt, job.Lost = "", at, at, 0
	return transition(job, was, jobs.Retrying, jobs.FieldError|jobs.FieldLease|jobs.FieldScheduled|jobs.FieldWake|jobs.FieldLost)
}

// enqueue queues a job. Its queue timeout begins if it was never started.
func enqueue(job jobs.Job, was jobs.Condition, now time.Time) *jobs.Change {
	job.WakeAt = time.Time{}
	if job.StartedAt.IsZero() && job.QueueTimeout > 0 {
		job.ExpiresAt = now.Truncate(time.Millisecond).Add(job.QueueTimeout)
		job.WakeAt = job.ExpiresAt
	}
	return transition(job, was, jobs.Queued, jobs.FieldWake|jobs.FieldExpires)
}

// Due is the change of a job whose WakeAt has come; nil if there is nothing to do.
func Due(job jobs.Job, now time.Time) *jobs.Change {
	was := jobs.Condition{State: job.State, Lease: job.Lease, Version: job.Version}
	switch job.State {
	case jobs.Waiting:
		if job.DependencyFailed {
			job.Error = jobs.NewProblem("parent", "Not run", "A job that this one waited for did not succeed.")
			return finish(job, was, jobs.Cancelled, jobs.ByDependency, jobs.FieldError)
		}
		if job.ScheduledAt.After(now) {
			job.WakeAt = job.ScheduledAt
			return transition(job, was, jobs.Scheduled, jobs.FieldWake)
		}
		return enqueue(job, was, now)
	case jobs.Scheduled, jobs.Retrying:
		return enqueue(job, was, now)
	case jobs.Queued:
		if !job.ExpiresAt.IsZero() && !now.Before(job.ExpiresAt) {
			job.Error = jobs.NewProblem("expired", "Expired", "The job waited in its queue longer than its queue timeout and was not run.")
			return finish(job, was, jobs.Failed, jobs.Expired, jobs.FieldError)
		}
	case jobs.Running:
		if job.CancelRequested {
			return finish(job, was, jobs.Cancelled, jobs.ByUser, 0)
		}
	}
	return nil
}
