package jobs

import (
	"context"
	"sync"
)

// Run is one attempt at a job, as its handler sees it. Its methods may be called from
// several goroutines until the handler returns.
type Run struct {
	engine *Engine
	pool   *slotPool // whose slot it has; nil of an outside worker
	job    Job
	cancel context.CancelCauseFunc

	mu         sync.Mutex // protects the fields below
	off        int64      // bytes of output of this start so far
	incomplete map[string][]byte
	progress   *op // newest, perhaps not yet in a batch
	output     *op
	finally    []func()

	// Of an outside worker; the call with reports that is served protects them.
	lastProgress *Progress
	reported     uint64 // number of its newest report that is durable
}

// Job is the job as it was claimed. It must not be changed.
func (r *Run) Job() *Job { return &r.job }

// Finally has f called when the outcome of the attempt is stored, or can't be: then nothing
// of its result is in memory any more.
func (r *Run) Finally(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.finally = append(r.finally, f)
}

// Progress says how far the attempt is. Faster than the log is written, only the
// newest is kept.
func (r *Run) Progress(p Progress) { r.report(p, nil) }

// Partial says the partial result that it begins with, and how far the attempt is. It is
// stored at once: the next attempt finds it as the Result of its job, and so does whoever
// reads the job. Faster than commits are made, only the newest is kept.
func (r *Run) Partial(result Value, p Progress) {
	if len(result) > 0 {
		result = AsJSON(result)
	}
	p = p.storable()
	r.mu.Lock()
	defer r.mu.Unlock()
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
	o := r.newReport(JobProgress, FieldProgress|FieldResult)
	o.change.Job.Progress, o.change.Job.Result = &p, result
	o.canWait = false
	o.bytes += len(result)
	o.prepare = prepareProgress
	r.progress = o
	r.put(o)
}

// report stores progress and, if there is one, a checkpoint.
func (r *Run) report(p Progress, checkpoint Value) {
	p = p.storable()
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.engine.commits
	c.mu.Lock()
	if o := r.progress; o != nil && !o.inBatch && checkpoint == nil {
		o.change.Job.Progress = &p
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	o := r.newReport(JobProgress, FieldProgress)
	o.change.Job.Progress = &p
	if checkpoint != nil {
		o.change.Job.Checkpoint = checkpoint
		o.change.Fields |= FieldCheckpoint
		o.bytes += len(checkpoint)
	}
	o.prepare = prepareProgress
	r.progress = o
	r.put(o)
}

// storable is progress as it may be stored: data that is not JSON is left out, and what is shares
// no memory with its caller's.
func (p Progress) storable() Progress {
	if p.Data != nil {
		p.Data, _ = CompactJSON(p.Data, MaxDepth)
	}
	return p
}

// prepareProgress completes a report of progress as its batch is made up: it may have been replaced.
func prepareProgress(c *Change) { c.Event.Data = progressData(c.Job.Progress, c.Job.Start) }

// put hands an op in. It is refused only when the engine ends, and this attempt with it.
func (r *Run) put(o *op) {
	if err := r.engine.commits.put(context.Background(), o); err != nil {
		o.finish(err)
	}
}

func (r *Run) newReport(t EventType, fields Field) *op {
	o := newOp(&Change{Job: Job{N: r.job.N, ID: r.job.ID, Tenant: r.job.Tenant, Queue: r.job.Queue, Kind: r.job.Kind, Tags: r.job.Tags, State: Running, Start: r.job.Start},
		If: Condition{State: Running, Lease: r.job.Lease}, Fields: fields, Event: Event{Type: t}})
	o.canWait = true
	return o
}
