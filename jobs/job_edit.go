package jobs

import (
	"context"
	"slices"
	"time"
)

// editChange is the change that an edit makes to a job; nil if it changes nothing.
func (e *Engine) editChange(edit Edit, job Job, now time.Time) *Change {
	was, from := Condition{State: job.State, Version: job.Version}, job.State
	var fields Field
	if edit.Priority != nil && *edit.Priority != job.Priority {
		job.Priority, fields = *edit.Priority, fields|FieldPriority
	}
	if edit.Tags != nil && !slices.Equal(*edit.Tags, job.Tags) {
		job.Tags, fields = *edit.Tags, fields|FieldTags
	}
	if edit.RunAt != nil || edit.Delay != nil {
		fields |= edit.applyTime(&job, now)
	}
	c := &Change{If: was}
	if edit.Queue != nil && *edit.Queue != job.Queue {
		job.Queue, fields = *edit.Queue, fields|FieldQueue|FieldState
		if job.Unique != nil {
			job.UniqueKey = job.Unique.key(&job)
			c.Peers = e.uniquePeers(&job)
			c.Peers[0].Decide = func(peers []Job) ([]*Change, error) {
				return nil, NewProblem(Conflict, "Not unique", "The job %s of the queue %s is the same by unique.by.", peers[0].ID, job.Queue)
			}
		}
	}
	c.Job, c.Fields, c.Event = job, fields, Event{Type: JobChanged}
	if job.State != from {
		c.Event.Type = eventOf[job.State]
	}
	c.Event.Data = job.ChangedData(fields)
	if fields == 0 {
		return nil
	}
	return c
}

// Change edits a job that does not run. ErrConflict if it runs or has ended, ErrQueueFull if
// its new queue is full. A job that changes its queue goes to the end of the new one; with an
// ordering key it keeps its order of acceptance there.
func (e *Engine) Change(ctx context.Context, tenant string, id ID, edit Edit) (Job, Position, error) {
	if edit.Queue != nil {
		if err := e.names.mention(tenant, *edit.Queue, ""); err != nil {
			return Job{}, Position{}, err
		}
	}
	return e.update(ctx, tenant, id, func(job Job) (*Change, error) {
		if job.State == Running || job.State.Final() {
			return nil, NewProblem(Conflict, "Not to be changed", "The job %s; only one that waits for its turn can be changed.", stateInWords(job.State))
		}
		return e.editChange(edit, job, time.Now().Truncate(time.Millisecond)), nil
	})
}

// RunNow queues a job that waits for a time. A queued job stays as it is.
func (e *Engine) RunNow(ctx context.Context, tenant string, id ID) (Job, Position, error) {
	return e.update(ctx, tenant, id, func(job Job) (*Change, error) {
		switch job.State {
		case Queued:
			return nil, nil
		case Scheduled, Retrying:
		case Waiting:
			return nil, NewProblem(Conflict, "Waits for other jobs", "The job waits for other jobs, not for a time; it runs when they have succeeded.")
		default:
			return nil, NewProblem(Conflict, "Not waiting", "The job %s; only a scheduled or retrying one can be told to run now.", stateInWords(job.State))
		}
		now := time.Now().Truncate(time.Millisecond)
		job.ScheduledAt = now
		was := Condition{State: job.State, Version: job.Version}
		c := enqueue(job, was, now)
		c.Fields |= FieldScheduled
		c.Event.Data = c.Job.ChangedData(c.Fields)
		return c, nil
	})
}

// Delete deletes a job that has ended, as the end of its retention would. ErrConflict if it
// has not ended.
func (e *Engine) Delete(ctx context.Context, tenant string, id ID) error {
	_, _, err := e.update(ctx, tenant, id, func(job Job) (*Change, error) {
		if !job.State.Final() {
			return nil, NewProblem(Conflict, "Not finished", "The job is %s; only a finished job can be deleted. Cancel it first.", job.State)
		}
		return &Change{Job: job, If: Condition{State: job.State}, Delete: true, Event: Event{Type: JobDeleted, Data: job.ChangedData(0)}}, nil
	})
	return err
}

// update stores the change that decide returns for a job; nil for no change. decide is called
// again if the job changes meanwhile.
func (e *Engine) update(ctx context.Context, tenant string, id ID, decide func(Job) (*Change, error)) (Job, Position, error) {
	for {
		job, pos, err := e.store.Job(ctx, tenant, id)
		if err != nil {
			return job, pos, err
		}
		c, err := decide(job)
		if err != nil || c == nil {
			return job, pos, err
		}
		o := newOp(c)
		err = e.commits.do(ctx, o)
		if err == error(ErrConflict) {
			continue // it has changed meanwhile: read it again
		}
		if err != nil {
			return job, pos, e.storeProblem(err)
		}
		if c.Delete {
			return job, pos, nil
		}
		return e.store.Job(ctx, tenant, id)
	}
}

// stateInWords is a state as the end of a sentence that begins with "The job".
func stateInWords(s State) string {
	switch s {
	case Running:
		return "runs"
	case Cancelled:
		return "was cancelled"
	}
	return "has " + s.String()
}

// applyTime applies RunAt or Delay of an edit to a job that does not run.
func (edit *Edit) applyTime(job *Job, now time.Time) Field {
	var at time.Time
	if edit.Delay != nil {
		at = now.Add(*edit.Delay)
	} else {
		at = *edit.RunAt
	}
	at = at.Add(time.Millisecond - 1).Truncate(time.Millisecond) // never early
	if !at.After(now) {
		at = time.Time{}
	}
	if job.State == Waiting { // it takes effect when the jobs that it depends on have ended
		job.ScheduledAt = at
		return FieldScheduled
	}
	if at.IsZero() {
		if job.State != Queued {
			job.ScheduledAt = now
		}
		return enqueueNow(job, now)
	}
	job.ScheduledAt, job.WakeAt = at, at
	if job.State == Queued {
		job.State = Scheduled
	}
	if job.StartedAt.IsZero() && job.QueueTimeout > 0 {
		job.ExpiresAt = at.Add(job.QueueTimeout)
	}
	return FieldState | FieldScheduled | FieldWake | FieldExpires
}

// enqueueNow queues a job that waits for a time. A queued job keeps its place.
func enqueueNow(job *Job, now time.Time) Field {
	if job.State == Queued {
		return 0
	}
	c := enqueue(*job, Condition{State: job.State}, now)
	*job = c.Job
	return c.Fields | FieldScheduled
}
