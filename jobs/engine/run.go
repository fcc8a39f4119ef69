package engine

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
)

// Run is one attempt at a job. The handler may call its methods from several goroutines until
// it returns.
type attemptRun struct {
	engine *Engine
	pool   *slotPool // of its slot; nil for outside workers
	job    jobs.Job
	cancel context.CancelCauseFunc

	mu         sync.Mutex // protects the fields below
	off        int64      // bytes of output of this start so far
	incomplete map[string][]byte
	newest     jobs.Progress // the newest progress
	progress   *op           // the newest report of progress, perhaps not stored yet
	output     *op
	finally    []func()

	// Of an outside worker; protected by workerLease.reporting.
	lastProgress *jobs.Progress
	reported     uint64 // number of the newest durable report
}

// Job is the job as it was claimed. It must not be changed.
func (r *attemptRun) Job() *jobs.Job { return &r.job }

// Finally registers a function that is called when the outcome of the attempt is stored or
// has failed to be: its result is then no longer in memory.
func (r *attemptRun) Finally(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finally = append(r.finally, f)
}

// Progress reports how far the attempt is, in percent, with a message; a percent below 0
// means unknown. Reports that come faster than commits replace one another.
func (r *attemptRun) Progress(percent float64, message string) {
	p := jobs.Progress{Message: message}
	if percent >= 0 {
		p.Percent = new(min(percent, 100))
	}
	r.Report(p)
}

// Report is Progress with data of the handler's own; data that is not JSON is left out.
func (r *attemptRun) Report(p jobs.Progress) { r.report(&p, nil) }

// Checkpoint stores v, from which the next attempt can continue: JSON of at most MaxCheckpoint
// bytes. Only the newest is kept.
func (r *attemptRun) Checkpoint(v any) error {
	data, err := json.Marshal(v)
	if err == nil && len(data) > MaxCheckpoint {
		err = fmt.Errorf("the checkpoint has %d bytes, and at most %d are allowed; store large data elsewhere", len(data), MaxCheckpoint)
	}
	if err != nil {
		return err
	}
	checkpoint, err := jobs.JsonMember("/checkpoint", data, jobs.MaxDepth)
	if err == nil {
		r.report(nil, checkpoint)
	}
	return err
}

// Log adds a line to the stream log.
func (r *attemptRun) Log(text string) {
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	r.Output("log", []byte(text))
}

// Partial stores a partial result, and how far the attempt is, without delay. It is the
// Result of the job until it ends, also for the next attempt. Calls that come faster than
// commits replace one another.
func (r *attemptRun) Partial(result jobs.Value, p jobs.Progress) {
	if len(result) > 0 {
		result = jobs.AsJSON(result)
	}
	p = storable(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.newest = p
	c := r.engine.commits
	c.mu.Lock()
	if o := r.progress; o != nil && !o.inBatch && !o.canWait {
		more := len(result) - len(o.change.Job.Result)
		o.change.Job.Progress, o.change.Job.Result = &p, result
		o.bytes, c.bytes = o.bytes+more, c.bytes+more
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	o := r.newReport(jobs.JobProgress, jobs.FieldProgress|jobs.FieldResult)
	o.change.Job.Progress, o.change.Job.Result = &p, result
	o.canWait = false
	o.bytes += len(result)
	o.prepare = prepareProgress
	r.progress = o
	r.put(o)
}

// report stores progress, or the newest again if it is nil, and a checkpoint, if that is not nil.
func (r *attemptRun) report(said *jobs.Progress, checkpoint jobs.Value) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if said == nil {
		said = &r.newest
	}
	p := storable(*said)
	r.newest = p
	c := r.engine.commits
	c.mu.Lock()
	if o := r.progress; o != nil && !o.inBatch && checkpoint == nil {
		o.change.Job.Progress = &p
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	o := r.newReport(jobs.JobProgress, jobs.FieldProgress)
	o.change.Job.Progress = &p
	if checkpoint != nil {
		o.change.Job.Checkpoint = checkpoint
		o.change.Fields |= jobs.FieldCheckpoint
		o.bytes += len(checkpoint)
	}
	o.prepare = prepareProgress
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
func (r *attemptRun) put(o *op) {
	if err := r.engine.commits.put(context.Background(), o); err != nil {
		o.finish(err)
	}
}

func (r *attemptRun) newReport(t jobs.EventType, fields jobs.Field) *op {
	o := newOp(&jobs.Change{Job: jobs.Job{N: r.job.N, ID: r.job.ID, Tenant: r.job.Tenant, Queue: r.job.Queue, Kind: r.job.Kind, Tags: r.job.Tags, State: jobs.Running, Start: r.job.Start},
		If: jobs.Condition{State: jobs.Running, Lease: r.job.Lease}, Fields: fields, Event: jobs.Event{Type: t}})
	o.canWait = true
	return o
}
