package transition

import (
	"strings"
	"time"

	"jobhub/jobs"
)

// Cancel is the change that cancels an unfinished job, or asks its worker to.
func Cancel(job jobs.Job) *jobs.Change {
	if job.State != jobs.Running {
		return finish(job, jobs.Condition{State: job.State, Version: job.Version}, jobs.Cancelled, jobs.ByUser, jobs.FieldState)
	}
	job.CancelRequested = true
	c := &jobs.Change{Job: job, If: jobs.Condition{State: jobs.Running, Lease: job.Lease}, Fields: jobs.FieldCancel, Event: jobs.Event{Type: jobs.JobCancelRequested}}
	if strings.HasPrefix(job.Lease, InProcess) { // the grace of an outside worker begins when the request reaches it
		c.Job.WakeAt, c.Fields = time.Now().Add(jobs.CancelGrace), c.Fields|jobs.FieldWake
	}
	c.Event.Data = c.Job.ChangedData(c.Fields)
	return c
}

// StopNow is the change that ends a running job whose worker did not stop within
// jobs.CancelGrace.
func StopNow(job jobs.Job) *jobs.Change {
	return finish(job, jobs.Condition{State: jobs.Running, Lease: job.Lease}, jobs.Cancelled, jobs.ByUser, 0)
}
