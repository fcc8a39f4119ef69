package engine

import (
	"context"
	"errors"

	"jobhub/jobs"
)

// Report is one message of a worker about its attempt.
type Report struct {
	N          uint64 // from 1; one that is stored already is ignored
	Progress   *jobs.Progress
	Stream     string // of Output
	Output     []byte
	Checkpoint jobs.Value
}

// Report stores reports of a worker about its attempt. All reports up to accepted are
// durable; it is less than the number of the last report if the store failed in between.
func (e *Engine) Report(ctx context.Context, tenant, token string, reports []Report) (accepted uint64, state LeaseState, err error) {
	_, lease, err := parseToken(token)
	if err != nil {
		return 0, LeaseLost, err
	}
	e.mu.Lock()
	h := e.leases[lease]
	e.mu.Unlock()
	if h == nil || h.run.job.Tenant != tenant {
		return 0, LeaseLost, jobs.ErrLeaseLost
	}
	select { // a repeated report waits for the call that brought it first
	case h.reporting <- struct{}{}:
		defer func() { <-h.reporting }()
	case <-ctx.Done():
		return 0, LeaseLost, e.storeProblem(refusal{context.Cause(ctx)})
	}
	before := h.run.reported
	for i := range reports {
		if reports[i].Checkpoint, err = jobs.JsonMember("/data", reports[i].Checkpoint, jobs.MaxDepth); err != nil {
			return 0, LeaseLost, err
		}
	}
	for err == nil && len(reports) > 0 {
		var b *reportBatch
		b, reports = h.run.reportBatch(reports)
		err = b.store(ctx)
	}
	switch {
	case err == nil:
	case errors.Is(err, jobs.ErrConflict):
		return 0, LeaseLost, jobs.ErrLeaseLost
	case h.run.reported == before || e.commits.failure() != nil:
		return 0, LeaseLost, e.storeProblem(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return h.run.reported, e.leaseStateLocked(tenant, lease), nil
}

// reportBatch is reports that are stored in one commit, all or none. Within it, newer
// progress replaces older and output is joined.
type reportBatch struct {
	run      *attemptRun
	ops      []*op
	bytes    int
	progress *op
	output   *op
	newest   *jobs.Progress // after these reports; as are off and reported
	off      int64
	reported uint64
}

// A call with more reports is stored in several commits.
const (
	maxReportOps   = 500
	maxReportBytes = 1 << 20
)

// reportBatch makes a batch of the first reports of a list, and returns the others.
func (r *attemptRun) reportBatch(list []Report) (*reportBatch, []Report) {
	b := &reportBatch{run: r, newest: r.lastProgress, off: r.off, reported: r.reported}
	for len(list) > 0 && len(b.ops) < maxReportOps && b.bytes < maxReportBytes {
		report := list[0]
		list = list[1:]
		if report.N <= b.reported {
			continue
		}
		b.reported = report.N
		switch {
		case report.Progress != nil:
			b.addProgress(*report.Progress, nil)
		case report.Checkpoint != nil:
			p := b.newest
			if p == nil {
				p = &jobs.Progress{}
			}
			b.addProgress(*p, report.Checkpoint)
		default:
			b.addOutput(report.Stream, report.Output)
		}
	}
	return b, list
}

// addProgress adds progress and a checkpoint, if it is not nil. A checkpoint gets an event of
// its own.
func (b *reportBatch) addProgress(p jobs.Progress, checkpoint jobs.Value) {
	p = storable(p)
	b.newest = &p
	if b.progress == nil || checkpoint != nil {
		b.progress = b.run.newReport(jobs.JobProgress, jobs.FieldProgress)
		b.ops = append(b.ops, b.progress)
	}
	c := b.progress.change
	c.Job.Progress = &p
	c.Event.Data = jobs.ProgressData(&p, b.run.job.Start)
	if checkpoint != nil {
		c.Job.Checkpoint = checkpoint
		c.Fields |= jobs.FieldCheckpoint
	}
	b.bytes += len(c.Event.Data) + len(checkpoint)
}

// addOutput adds output.
func (b *reportBatch) addOutput(stream string, p []byte) {
	for len(p) > 0 {
		n := min(len(p), maxOutputEvent)
		if n < len(p) {
			n -= incompleteRune(p[:n])
		}
		if o := b.output; o != nil && o.output.stream == stream && len(o.output.raw)+n <= maxOutputEvent {
			o.output.raw = append(o.output.raw, p[:n]...)
			o.change.Job.Output += int64(n)
			o.bytes += n
		} else {
			b.output = b.run.outputOp(stream, b.off, p[:n])
			b.ops = append(b.ops, b.output)
		}
		b.off += int64(n)
		b.bytes += n
		p = p[n:]
	}
}

// store returns when the batch is durable, and updates the run.
func (b *reportBatch) store(ctx context.Context) error {
	together := new(Group)
	for _, o := range b.ops {
		o.failFast, o.group = true, together
		o.change.Job.Reported = b.reported
		o.change.Fields |= jobs.FieldReported
		o.bytes += len(o.change.Event.Data) + len(o.change.Job.Checkpoint)
	}
	if len(b.ops) > 0 {
		if err := b.run.engine.commits.putAll(ctx, b.ops); err != nil {
			return err
		}
	}
	for _, o := range b.ops {
		if err := o.wait(); err != nil {
			return err
		}
	}
	r := b.run
	r.lastProgress, r.off, r.reported = b.newest, b.off, b.reported
	return nil
}
