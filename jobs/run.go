package jobs

import (
	"context"
	"encoding/base64"
	"fmt"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
)

// maxOutputEvent is how much output one event carries, in bytes.
const maxOutputEvent = 32 << 10

// Run is one attempt at a job, as its handler sees it. Its methods may be called from
// several goroutines until the handler returns.
type Run struct {
	engine *Engine
	slots  *pool // whose slot it has; nil of an outside worker
	job    Job
	cancel context.CancelCauseFunc

	mu       sync.Mutex // protects the fields below
	off      int64      // bytes of output of this start so far
	held     map[string][]byte
	said     Progress // newest
	progress *op      // that tells of it, perhaps not yet in a batch
	output   *op
	finally  []func()

	// Of an outside worker; the call with reports that is served protects them.
	newest   *Progress
	reported uint64 // number of its newest report that is durable
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

// Progress says how far the attempt is, in percent; below 0 if it can't tell. Faster than
// the log is written, only the newest is kept.
func (r *Run) Progress(percent float64, message string) {
	p := Progress{Message: message}
	if percent >= 0 {
		p.Percent = new(min(percent, 100))
	}
	r.Report(p)
}

// Report is Progress with data of the handler's own; data that is not JSON is left out.
func (r *Run) Report(p Progress) { r.report(&p, nil) }

// Checkpoint keeps what a next attempt can go on from, as the Checkpoint of its job: v as
// JSON, of at most MaxCheckpoint bytes. The newest counts.
func (r *Run) Checkpoint(v any) error {
	data, err := json.Marshal(v)
	if err == nil && len(data) > MaxCheckpoint {
		err = fmt.Errorf("a checkpoint of %d bytes; %d are the most", len(data), MaxCheckpoint)
	}
	if err != nil {
		return err
	}
	checkpoint, err := jsonMember("/checkpoint", data, MaxDepth)
	if err == nil {
		r.report(nil, checkpoint)
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

// Partial says what is known of the result already, and how far the attempt is. It is
// stored at once: the next attempt finds it as the Result of its job, and so does whoever
// reads the job. Faster than commits are made, only the newest is kept.
func (r *Run) Partial(result Value, p Progress) {
	if len(result) > 0 {
		result = AsJSON(result)
	}
	p = p.kept()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = p
	c := r.engine.commits
	c.mu.Lock()
	if o := r.progress; o != nil && !o.taken && !o.lazy {
		more := len(result) - len(o.change.Job.Result)
		o.change.Job.Progress, o.change.Job.Result = &p, result
		o.bytes, c.bytes = o.bytes+more, c.bytes+more
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	o := r.lazily(JobProgress, FieldProgress|FieldResult)
	o.change.Job.Progress, o.change.Job.Result = &p, result
	o.lazy = false
	o.bytes += len(result)
	o.prepare = prepareProgress
	r.progress = o
	r.put(o)
}

// report stores progress, or the newest again if there is none, and a checkpoint if there is one.
func (r *Run) report(said *Progress, checkpoint Value) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if said == nil {
		said = &r.said
	}
	p := said.kept()
	r.said = p
	c := r.engine.commits
	c.mu.Lock()
	if o := r.progress; o != nil && !o.taken && checkpoint == nil {
		o.change.Job.Progress = &p
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	o := r.lazily(JobProgress, FieldProgress)
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

// kept is progress as it may be stored: data that is not JSON is left out, and what is shares
// no memory with its caller's.
func (p Progress) kept() Progress {
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

// Output adds bytes to one of the attempt's output streams. Nothing of it is lost
// or reordered; small pieces may be joined.
func (r *Run) Output(stream string, p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p = append(r.held[stream], p...)
	keep := incompleteRune(p)
	delete(r.held, stream)
	if keep > 0 {
		r.held[stream] = append([]byte(nil), p[len(p)-keep:]...)
	}
	r.emit(stream, p[:len(p)-keep])
}

// flush sends what Output held back.
func (r *Run) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for stream, p := range r.held {
		r.emit(stream, p)
	}
	clear(r.held)
}

// emit is called with mu held.
func (r *Run) emit(stream string, p []byte) {
	for len(p) > 0 {
		n := min(len(p), maxOutputEvent)
		if n < len(p) {
			n -= incompleteRune(p[:n])
		}
		piece := p[:n]
		p = p[n:]
		if r.join(stream, piece) {
			continue
		}
		r.output = r.piece(stream, r.off, piece)
		r.off += int64(n)
		r.put(r.output)
	}
}

// piece is a new output event.
func (r *Run) piece(stream string, off int64, p []byte) *op {
	o := r.lazily(JobOutput, FieldOutput)
	o.bytes += len(p)
	o.change.Job.Output = off + int64(len(p))
	o.change.output = &outputPiece{stream: stream, attempt: r.job.Attempt, start: r.job.Start, off: off, raw: append([]byte(nil), p...)}
	o.prepare = func(ch *Change) { ch.Event.Data = ch.output.data() }
	return o
}

// join adds to an output event that is not yet in a batch. It is called with mu held.
func (r *Run) join(stream string, p []byte) bool {
	c := r.engine.commits
	c.mu.Lock()
	defer c.mu.Unlock()
	o := r.output
	if o == nil || o.taken || o.change.output.stream != stream || len(o.change.output.raw)+len(p) > maxOutputEvent {
		return false
	}
	o.change.output.raw = append(o.change.output.raw, p...)
	o.bytes += len(p)
	c.bytes += len(p)
	r.off += int64(len(p))
	o.change.Job.Output = r.off
	return true
}

func (r *Run) lazily(t EventType, fields Field) *op {
	o := newOp(&Change{Job: Job{N: r.job.N, ID: r.job.ID, Tenant: r.job.Tenant, Queue: r.job.Queue, Kind: r.job.Kind, Tags: r.job.Tags, State: Running, Start: r.job.Start},
		If: Guard{State: Running, Lease: r.job.Lease}, Fields: fields, Event: Event{Type: t}})
	o.lazy = true
	return o
}

// outputPiece is output on its way into an event.
type outputPiece struct {
	stream  string
	attempt int
	start   int
	off     int64
	raw     []byte
}

func (o *outputPiece) data() Value {
	b := appendInt(append(make([]byte, 0, len(o.raw)+96), `{"attempt":`...), o.attempt)
	b = appendInt(append(b, `,"start":`...), o.start)
	b = strconv.AppendInt(append(b, `,"off":`...), o.off, 10)
	b = appendString(append(b, `,"stream":`...), o.stream)
	if utf8.Valid(o.raw) {
		b = appendString(append(b, `,"text":`...), string(o.raw))
	} else {
		b = appendString(append(b, `,"base64":`...), base64.StdEncoding.EncodeToString(o.raw))
	}
	return append(b, '}')
}

// incompleteRune is the number of bytes at the end of p that begin a character
// without completing it.
func incompleteRune(p []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(p); n++ {
		if c := p[len(p)-n]; utf8.RuneStart(c) {
			if c >= utf8.RuneSelf && !utf8.FullRune(p[len(p)-n:]) {
				return n
			}
			return 0
		}
	}
	return 0
}

// startLocked begins an attempt in this process.
func (e *Engine) startLocked(job Job, slots *pool) {
	ctx, cancel := context.WithCancelCause(context.Background())
	job.Input = job.Credentials.Join(job.Input)
	r := &Run{engine: e, slots: slots, job: job, cancel: cancel, held: map[string][]byte{}}
	e.runs[job.Lease] = r
	go e.execute(ctx, r)
}

// execute runs the handler of one attempt and reports how it ended.
func (e *Engine) execute(ctx context.Context, r *Run) {
	defer r.cancel(nil)
	ctx, stop := context.WithTimeoutCause(ctx, r.job.Timeout, ErrTimeout)
	defer stop()
	res, err := e.handle(ctx, r)
	c := e.outcome(r, res, err, context.Cause(ctx))
	o := newOp(c)
	o.bytes += len(res.Value)
	if res.Response != nil {
		o.bytes += len(res.Response.Body)
	}
	err = e.commits.put(context.Background(), o)
	e.freeSlot(r)
	if err == nil {
		err = o.wait()
	}
	if err != nil {
		e.log.Warn("the outcome of an attempt was not recorded", "job", r.job.ID, "attempt", r.job.Attempt, "outcome", c.Event.Type.String(), "error", err)
	}
	for _, f := range r.finally { // the handler has returned
		f()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.runs, r.job.Lease)
	e.idleLocked()
}

// handle calls the handler; a panic fails the attempt, not the hub.
func (e *Engine) handle(ctx context.Context, r *Run) (res Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			e.log.Error("a handler panicked", "kind", r.job.Kind, "job", r.job.ID, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("the handler panicked: %v", p)
		}
	}()
	h, _ := e.handler(r.job.Kind)
	res, err = h.Run(ctx, r)
	value, wrong := jsonMember("/result", res.Value, MaxDepth)
	if res.Value = value; wrong != nil && err == nil {
		err = &Failure{Problem: newProblem(Internal, "Result not kept", "The handler's result can't be kept: %s.", wrong.(*Problem).Errors[0].Detail), Never: true}
	}
	return res, err
}

// tell ends the context of the attempt with that lease, if it runs in this process, or
// lets its worker know.
func (e *Engine) tell(lease string, cause error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.runs[lease]; r != nil {
		r.cancel(cause)
	}
	if h := e.leases[lease]; h != nil && cause == ErrCancelRequested {
		h.run.job.CancelRequested = true
		e.newsLocked(h.worker)
	}
}
