// Package attempt stores what an attempt at a job says while it is under way: progress,
// output, checkpoints and partial results.
//
//   - A [Run] takes it from a handler in this process. It never waits for the store: reports
//     that come faster than commits replace one another, and output is joined.
//   - A [Reporter] takes it from an outside worker, numbered, and returns when it is durable.
//
// Both make ops of package commit, which change nothing once the attempt has lost its lease.
package attempt

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/jobs/engine/commit"
)

// Run is one attempt in this process; it is a jobs.Run. Its methods may be called from several
// goroutines.
type Run struct {
	commits *commit.Committer
	job     jobs.Job

	mu         sync.Mutex // protects the fields below
	off        int64      // bytes of output of this start so far
	incomplete map[string][]byte
	newest     jobs.Progress // the newest progress
	progress   *commit.Op    // the newest report of progress, perhaps not stored yet
	output     *commit.Op    // the newest output, and what it holds
	piece      *piece
	finally    []func()
}

// New returns the run of a job that was claimed.
func New(commits *commit.Committer, job jobs.Job) *Run {
	return &Run{commits: commits, job: job, incomplete: map[string][]byte{}}
}

// Job is the job as it was claimed. It must not be changed.
func (r *Run) Job() *jobs.Job { return &r.job }

// Finally registers a function that is called when the outcome of the attempt is stored or
// has failed to be: its result is then no longer in memory.
func (r *Run) Finally(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finally = append(r.finally, f)
}

// Finished calls the functions that Finally registered. The handler has returned.
func (r *Run) Finished() {
	for _, f := range r.finally {
		f()
	}
}

// Progress reports how far the attempt is, in percent, with a message; a percent below 0
// means unknown. Reports that come faster than commits replace one another.
func (r *Run) Progress(percent float64, message string) {
	p := jobs.Progress{Message: message}
	if percent >= 0 {
		p.Percent = new(min(percent, 100))
	}
	r.Report(p)
}

// Report is Progress with data of the handler's own; data that is not JSON is left out.
func (r *Run) Report(p jobs.Progress) { r.Save(&p, nil) }

// Checkpoint stores v, from which the next attempt can continue: JSON of at most
// jobs.MaxCheckpoint bytes. Only the newest is kept.
func (r *Run) Checkpoint(v any) error {
	data, err := json.Marshal(v)
	if err == nil && len(data) > jobs.MaxCheckpoint {
		err = fmt.Errorf("the checkpoint has %d bytes, and at most %d are allowed; store large data elsewhere", len(data), jobs.MaxCheckpoint)
	}
	if err != nil {
		return err
	}
	checkpoint, err := jobs.JsonMember("/checkpoint", data, jobs.MaxDepth)
	if err == nil {
		r.Save(nil, checkpoint)
	}
	return err
}

// Log adds a line to the stream log.
func (r *Run) Log(text string) {
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	r.Output("log", []byte(text))
}

// Partial stores a partial result, and how far the attempt is, without delay. It is the
// Result of the job until it ends, also for the next attempt. Calls that come faster than
// commits replace one another.
func (r *Run) Partial(result jobs.Value, p jobs.Progress) {
	if len(result) > 0 {
		result = jobs.AsJSON(result)
	}
	p = storable(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.newest = p
	if o := r.progress; o != nil && !o.CanWait && r.commits.Amend(o, func() int {
		more := len(result) - len(o.Change.Job.Result)
		o.Change.Job.Progress, o.Change.Job.Result = &p, result
		return more
	}) {
		return
	}
	o := report(&r.job, jobs.JobProgress, jobs.FieldProgress|jobs.FieldResult)
	o.Change.Job.Progress, o.Change.Job.Result = &p, result
	o.CanWait = false
	o.Bytes += len(result)
	o.Prepare = prepareProgress
	r.progress = o
	r.put(o)
}

// Save stores progress, or the newest again if it is nil, and a checkpoint, if that is not nil.
func (r *Run) Save(said *jobs.Progress, checkpoint jobs.Value) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if said == nil {
		said = &r.newest
	}
	p := storable(*said)
	r.newest = p
	if o := r.progress; o != nil && checkpoint == nil && r.commits.Amend(o, func() int { o.Change.Job.Progress = &p; return 0 }) {
		return
	}
	o := report(&r.job, jobs.JobProgress, jobs.FieldProgress)
	o.Change.Job.Progress = &p
	if checkpoint != nil {
		o.Change.Job.Checkpoint = checkpoint
		o.Change.Fields |= jobs.FieldCheckpoint
		o.Bytes += len(checkpoint)
	}
	o.Prepare = prepareProgress
	r.progress = o
	r.put(o)
}

// storable is a copy of progress that may be stored: data that is not JSON is left out.
func storable(p jobs.Progress) jobs.Progress {
	if p.Data != nil {
		p.Data, _ = jobs.CompactJSON(p.Data, jobs.MaxDepth)
	}
	return p
}

// prepareProgress sets the event's data just before it is stored, because the progress may
// have been replaced until then.
func prepareProgress(c *jobs.Change) { c.Event.Data = jobs.ProgressData(c.Job.Progress, c.Job.Start) }

// put enqueues an op. That fails only when the engine ends, and this attempt with it.
func (r *Run) put(o *commit.Op) { _ = r.commits.Put(context.Background(), o) }

// report returns the op of an event of a running attempt.
func report(job *jobs.Job, t jobs.EventType, fields jobs.Field) *commit.Op {
	o := commit.NewOp(&jobs.Change{Job: jobs.Job{N: job.N, ID: job.ID, Tenant: job.Tenant, Queue: job.Queue, Kind: job.Kind, Tags: job.Tags, State: jobs.Running, Start: job.Start},
		If: jobs.Condition{State: jobs.Running, Lease: job.Lease}, Fields: fields, Event: jobs.Event{Type: t}})
	o.CanWait = true
	return o
}
