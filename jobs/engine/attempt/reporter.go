package attempt

import (
	"context"

	"jobhub/jobs"
	"jobhub/jobs/engine/commit"
)

// Report is one message of a worker about its attempt.
type Report struct {
	N          uint64 // from 1; one that is stored already is ignored
	Progress   *jobs.Progress
	Stream     string // of Output
	Output     []byte
	Checkpoint jobs.Value
}

// Reporter stores the reports of an outside worker about one attempt. One call of Store at a
// time.
type Reporter struct {
	commits *commit.Committer
	job     jobs.Job
	said
}

// said is what the durable reports of an attempt have said.
type said struct {
	newest   *jobs.Progress // progress
	off      int64          // bytes of output
	reported uint64         // number of the newest report
}

// NewReporter returns the reporter of a job that was claimed.
func NewReporter(commits *commit.Committer, job jobs.Job) *Reporter {
	return &Reporter{commits: commits, job: job}
}

// Continue returns the reporter of an attempt that began in a former process.
func Continue(commits *commit.Committer, job jobs.Job) *Reporter {
	return &Reporter{commits: commits, job: job, said: said{job.Progress, job.Output, job.Reported}}
}

// Reported is the number of the newest report that is durable.
func (r *Reporter) Reported() uint64 { return r.reported }

// Store returns when the reports are durable. After an error those up to Reported are.
func (r *Reporter) Store(ctx context.Context, reports []Report) (err error) {
	for i := range reports {
		if reports[i].Checkpoint, err = jobs.JsonMember("/data", reports[i].Checkpoint, jobs.MaxDepth); err != nil {
			return err
		}
	}
	for len(reports) > 0 {
		var b *batch
		b, reports = r.batch(reports)
		if err := b.store(ctx, r.commits); err != nil {
			return err
		}
		r.said = b.said
	}
	return nil
}

// A call with more reports is stored in several commits.
const (
	maxReportOps   = 500
	maxReportBytes = 1 << 20
)

// batch is reports that are stored in one commit, all or none. Within it, newer progress
// replaces older and output is joined.
type batch struct {
	job      *jobs.Job
	ops      []*commit.Op
	bytes    int
	progress *commit.Op
	output   *commit.Op
	piece    *piece // of output
	said            // after these reports
}

// batch makes a batch of the first reports of a list, and returns the others.
func (r *Reporter) batch(list []Report) (*batch, []Report) {
	b := &batch{job: &r.job, said: r.said}
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
func (b *batch) addProgress(p jobs.Progress, checkpoint jobs.Value) {
	p = storable(p)
	b.newest = &p
	if b.progress == nil || checkpoint != nil {
		b.progress = report(b.job, jobs.JobProgress, jobs.FieldProgress)
		b.ops = append(b.ops, b.progress)
	}
	c := b.progress.Change
	c.Job.Progress = &p
	c.Event.Data = jobs.ProgressData(&p, b.job.Start)
	if checkpoint != nil {
		c.Job.Checkpoint = checkpoint
		c.Fields |= jobs.FieldCheckpoint
	}
	b.bytes += len(c.Event.Data) + len(checkpoint)
}

// addOutput adds output.
func (b *batch) addOutput(stream string, p []byte) {
	for len(p) > 0 {
		n := eventSize(p)
		if o := b.output; o != nil && b.piece.fits(stream, n) {
			b.piece.raw = append(b.piece.raw, p[:n]...)
			o.Change.Job.Output += int64(n)
			o.Bytes += n
		} else {
			b.output, b.piece = outputReport(b.job, stream, b.off, p[:n])
			b.ops = append(b.ops, b.output)
		}
		b.off += int64(n)
		b.bytes += n
		p = p[n:]
	}
}

// store returns when the batch is durable.
func (b *batch) store(ctx context.Context, commits *commit.Committer) error {
	if len(b.ops) == 0 {
		return nil
	}
	for _, o := range b.ops {
		o.FailFast = true
		o.Change.Job.Reported = b.reported
		o.Change.Fields |= jobs.FieldReported
		o.Bytes += len(o.Change.Event.Data) + len(o.Change.Job.Checkpoint)
	}
	if err := commits.PutAll(ctx, b.ops); err != nil {
		return err
	}
	for _, o := range b.ops {
		if err := o.Wait(); err != nil {
			return err
		}
	}
	return nil
}
