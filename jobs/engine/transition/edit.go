package transition

import (
	"slices"
	"time"

	"jobhub/jobs"
)

// Edit is the change that an edit makes to a job; nil if it changes nothing. An error if the
// job runs or has ended.
func Edit(job jobs.Job, edit jobs.Edit, now time.Time) (*jobs.Change, error) {
	if job.State == jobs.Running || job.State.Final() {
		return nil, jobs.NewProblem(jobs.Conflict, "Not to be changed", "The job %s; only one that waits for its turn can be changed.", stateInWords(job.State))
	}
	was, from := jobs.Condition{State: job.State, Version: job.Version}, job.State
	var fields jobs.Field
	if edit.Priority != nil && *edit.Priority != job.Priority {
		job.Priority, fields = *edit.Priority, fields|jobs.FieldPriority
	}
	if edit.Tags != nil && !slices.Equal(*edit.Tags, job.Tags) {
		job.Tags, fields = *edit.Tags, fields|jobs.FieldTags
	}
	if edit.RunAt != nil || edit.Delay != nil {
		fields |= applyTime(&edit, &job, now)
	}
	c := &jobs.Change{If: was}
	if edit.Queue != nil && *edit.Queue != job.Queue {
		job.Queue, fields = *edit.Queue, fields|jobs.FieldQueue|jobs.FieldState
		if job.Unique != nil {
			job.UniqueKey = job.Unique.Key(&job)
			c.Peers = []*jobs.Peers{EqualTo(&job)}
			c.Peers[0].Decide = func(peers []jobs.Job) ([]*jobs.Change, error) {
				return nil, jobs.NewProblem(jobs.Conflict, "Not unique", "The job %s of the queue %s is the same by unique.by.", peers[0].ID, job.Queue)
			}
		}
	}
	if fields == 0 {
		return nil, nil
	}
	c.Job, c.Fields, c.Event = job, fields, jobs.Event{Type: jobs.JobChanged}
	if job.State != from {
		c.Event.Type = jobs.EventOf[job.State]
	}
	c.Event.Data = job.ChangedData(fields)
	return c, nil
}

// EqualTo selects the jobs that are equal to one by its Unique, which must be set. The caller
// adds what happens if there are any.
func EqualTo(j *jobs.Job) *jobs.Peers {
	u := j.Unique
	p := &jobs.Peers{UniqueKey: j.UniqueKey, Finished: u.While == "kept" && j.RetryOf == (jobs.ID{})} // a retry is equal to the finished job that it retries
	if u.Within > 0 {
		p.Since = j.CreatedAt.Add(-time.Duration(u.Within))
	}
	return p
}

// RunNow is the change that queues a job that waits for a time; nil if the job is queued. An
// error in other states.
func RunNow(job jobs.Job, now time.Time) (*jobs.Change, error) {
	switch job.State {
	case jobs.Queued:
		return nil, nil
	case jobs.Scheduled, jobs.Retrying:
	case jobs.Waiting:
		return nil, jobs.NewProblem(jobs.Conflict, "Waits for other jobs", "The job waits for other jobs, not for a time; it runs when they have succeeded.")
	default:
		return nil, jobs.NewProblem(jobs.Conflict, "Not waiting", "The job %s; only a scheduled or retrying one can be told to run now.", stateInWords(job.State))
	}
	job.ScheduledAt = now
	c := enqueue(job, jobs.Condition{State: job.State, Version: job.Version}, now)
	c.Fields |= jobs.FieldScheduled
	c.Event.Data = c.Job.ChangedData(c.Fields)
	return c, nil
}

// Delete is the change that deletes a job that has ended. An error if it has not.
func Delete(job jobs.Job) (*jobs.Change, error) {
	if !job.State.Final() {
		return nil, jobs.NewProblem(jobs.Conflict, "Not finished", "The job is %s; only a finished job can be deleted. Cancel it first.", job.State)
	}
	return &jobs.Change{Job: job, If: jobs.Condition{State: job.State}, Delete: true, Event: jobs.Event{Type: jobs.JobDeleted, Data: job.ChangedData(0)}}, nil
}

// stateInWords is a state as the end of a sentence that begins with "The job".
func stateInWords(s jobs.State) string {
	switch s {
	case jobs.Running:
		return "runs"
	case jobs.Cancelled:
		return "was cancelled"
	}
	return "has " + s.String()
}

// applyTime applies RunAt or Delay of an edit to a job that does not run.
func applyTime(edit *jobs.Edit, job *jobs.Job, now time.Time) jobs.Field {
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
	if job.State == jobs.Waiting { // it takes effect when the jobs that it depends on have ended
		job.ScheduledAt = at
		return jobs.FieldScheduled
	}
	if at.IsZero() {
		if job.State != jobs.Queued {
			job.ScheduledAt = now
		}
		return enqueueNow(job, now)
	}
	job.ScheduledAt, job.WakeAt = at, at
	if job.State == jobs.Queued {
		job.State = jobs.Scheduled
	}
	if job.StartedAt.IsZero() && job.QueueTimeout > 0 {
		job.ExpiresAt = at.Add(job.QueueTimeout)
	}
	return jobs.FieldState | jobs.FieldScheduled | jobs.FieldWake | jobs.FieldExpires
}

// enqueueNow queues a job that waits for a time. A queued job keeps its place.
func enqueueNow(job *jobs.Job, now time.Time) jobs.Field {
	if job.State == jobs.Queued {
		return 0
	}
	c := enqueue(*job, jobs.Condition{State: job.State}, now)
	*job = c.Job
	return c.Fields | jobs.FieldScheduled
}
