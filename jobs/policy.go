package jobs

import (
	"errors"
	"time"
)

// This file decides what becomes of a job. Each function returns the change that
// carries the decision out; the store applies it only if the job is still as it was.

// change is a transition of job into a state. It panics on one that the table does
// not know: that is a defect of this package, not of a caller.
func change(job Job, was Guard, to State, fields Field) Change {
	if !was.State.CanBecome(to) {
		panic("jobs: no transition from " + was.State.String() + " to " + to.String())
	}
	job.State = to
	c := Change{Job: job, If: was, Fields: fields | FieldState, Event: Event{Type: eventOf[to]}}
	if was.State != 0 {
		c.Event.Data = c.Job.ChangedData(c.Fields)
	}
	return c
}

func finish(job Job, was Guard, to State, reason Reason, fields Field) Change {
	job.Reason, job.FinishedAt, job.WakeAt, job.Lease = reason, time.Now().Truncate(time.Millisecond), time.Time{}, ""
	return change(job, was, to, fields|FieldFinished|FieldWake|FieldLease)
}

// release gives a running job back as if this attempt had not begun.
func release(job *Job) *Change {
	was := Guard{Running, job.Lease}
	j := *job
	j.Attempt--
	j.Lease, j.WakeAt = "", time.Time{}
	if j.CancelRequested {
		c := finish(j, was, Cancelled, ByUser, FieldAttempt)
		return &c
	}
	c := change(j, was, Queued, FieldAttempt|FieldLease|FieldWake)
	return &c
}

// settle decides what follows from the end of an attempt; cause is why its context
// ended, if it did.
func settle(job Job, res Result, err, cause error) Change {
	was := Guard{Running, job.Lease}
	job.Result, job.Response, job.Error = res.Value, res.Response, nil
	if err == nil {
		return finish(job, was, Succeeded, "", FieldResult|FieldError)
	}
	if errors.Is(cause, ErrCancelRequested) || job.CancelRequested {
		job.Result, job.Response = nil, nil
		return finish(job, was, Cancelled, ByUser, 0)
	}
	if errors.Is(cause, ErrDraining) {
		return *release(&job)
	}
	var failure *Failure
	if errors.Is(cause, ErrTimeout) {
		failure = &Failure{Problem: newProblem("timeout", "Timed out", "The attempt ran longer than its timeout of %s.", job.Timeout)}
	} else if !errors.As(err, &failure) {
		failure = &Failure{Problem: newProblem("handler_failed", "The handler failed", "%s", err.Error())}
	}
	job.Error = failure.Problem
	switch {
	case failure.Never:
		return finish(job, was, Failed, Rejected, FieldResult|FieldError)
	case job.Attempt >= job.MaxAttempts && errors.Is(cause, ErrTimeout):
		return finish(job, was, Failed, TimedOut, FieldResult|FieldError)
	case job.Attempt >= job.MaxAttempts:
		return finish(job, was, Failed, Exhausted, FieldResult|FieldError)
	}
	at := time.Now().Add(max(job.Backoff.Delay(job.Attempt), failure.After) + time.Millisecond - 1).Truncate(time.Millisecond)
	job.Result, job.Response = nil, nil
	job.Lease, job.ScheduledAt, job.WakeAt = "", at, at
	return change(job, was, Retrying, FieldError|FieldLease|FieldScheduled|FieldWake)
}

// due decides about a job whose time has come. False if nothing is to be done yet.
func due(job Job, now time.Time) (Change, bool) {
	was := Guard{job.State, job.Lease}
	switch job.State {
	case Scheduled, Retrying:
		first := job.State == Scheduled
		job.WakeAt = time.Time{}
		if first {
			job.WakeAt = job.ExpiresAt
		}
		return change(job, was, Queued, FieldWake), true
	case Queued:
		if !job.ExpiresAt.IsZero() && !now.Before(job.ExpiresAt) {
			job.Error = newProblem("expired", "Expired", "The job waited in its queue longer than its queue timeout and was not run.")
			return finish(job, was, Failed, Expired, FieldError), true
		}
	case Running:
		if job.CancelRequested {
			return finish(job, was, Cancelled, ByUser, 0), true
		}
	}
	return Change{}, false
}
