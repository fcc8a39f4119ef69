package jobs

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"
	"unicode/utf8"
)

// maxOutputEvent is how much output one event carries, in bytes.
const maxOutputEvent = 32 << 10

// Run is one attempt at a job, as its handler sees it. Its methods may be called from
// several goroutines until the handler returns.
type Run struct {
	engine *Engine
	job    Job
	cancel context.CancelCauseFunc

	mu       sync.Mutex // protects the fields below
	off      int64      // bytes of output so far
	held     map[string][]byte
	progress *op // newest, perhaps not yet in a batch
	output   *op
}

// Job is the job as it was claimed. It must not be changed.
func (r *Run) Job() *Job { return &r.job }

// Progress says how far the attempt is. Faster than the log is written, only the
// newest is kept.
func (r *Run) Progress(p Progress) {
	if p.Data != nil {
		p.Data = append(Value(nil), p.Data...)
		if p.Data.Compact() != nil {
			p.Data = nil
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.engine.commits
	c.mu.Lock()
	if o := r.progress; o != nil && !o.taken {
		o.change.Job.Progress = &p
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	o := r.lazily(JobProgress, FieldProgress)
	o.change.Job.Progress = &p
	o.prepare = func(ch *Change) { ch.Event.Data = appendAny(nil, false, ch.Job.Progress) }
	r.progress = o
	_ = c.put(context.Background(), o) // refused only when the engine ends, and this attempt with it
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
	c := r.engine.commits
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
		o := r.lazily(JobOutput, 0)
		o.bytes += len(piece)
		out := &outputPiece{stream: stream, attempt: r.job.Attempt, off: r.off, raw: append([]byte(nil), piece...)}
		o.change.output = out
		o.prepare = func(ch *Change) { ch.Event.Data = ch.output.data() }
		r.off += int64(n)
		r.output = o
		_ = c.put(context.Background(), o)
	}
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
	return true
}

func (r *Run) lazily(t EventType, fields Field) *op {
	o := newOp(Change{Job: Job{N: r.job.N, ID: r.job.ID, Tenant: r.job.Tenant, Queue: r.job.Queue, Kind: r.job.Kind, Tags: r.job.Tags, State: Running},
		If: Guard{Running, r.job.Lease}, Fields: fields, Event: Event{Type: t}})
	o.lazy = true
	return o
}

// outputPiece is output on its way into an event.
type outputPiece struct {
	stream  string
	attempt int
	off     int64
	raw     []byte
}

func (o *outputPiece) data() Value {
	b := appendInt(append(make([]byte, 0, len(o.raw)+96), `{"attempt":`...), o.attempt)
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

// addClaims asks for as many jobs as there are free slots, if any may be ready.
func (e *Engine) addClaims(b *Batch) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.kinds) == 0 {
		return
	}
	for _, c := range b.Changes {
		e.backlog = e.backlog || c.Event.Type == JobQueued
	}
	if e.free == 0 || !e.backlog || e.draining {
		return
	}
	n := min(e.free, maxBatchChanges)
	e.free -= n
	claim := &Claim{Kinds: e.kinds, Leases: make([]string, n)}
	for i := range claim.Leases {
		claim.Leases[i] = rand.Text()
	}
	b.Claims = append(b.Claims, claim)
}

// unclaim gives back the slots of claims that were not stored.
func (e *Engine) unclaim(b *Batch) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range b.Claims {
		e.free += len(c.Leases)
	}
}

// start runs what a batch claimed.
func (e *Engine) start(b *Batch) {
	for _, c := range b.Claims {
		e.mu.Lock()
		e.free += len(c.Leases) - len(c.Jobs)
		e.backlog = len(c.Jobs) == len(c.Leases)
		for _, job := range c.Jobs {
			ctx, cancel := context.WithCancelCause(context.Background())
			r := &Run{engine: e, job: job, cancel: cancel, held: map[string][]byte{}}
			e.runs[job.Lease] = r
			go e.execute(ctx, r)
		}
		e.mu.Unlock()
	}
}

// execute runs the handler of one attempt and reports how it ended.
func (e *Engine) execute(ctx context.Context, r *Run) {
	defer r.cancel(nil)
	ctx, stop := context.WithTimeoutCause(ctx, r.job.Timeout, ErrTimeout)
	defer stop()
	res, err := e.handle(ctx, r)
	r.flush()
	c := settle(r.job, res, err, context.Cause(ctx))
	o := newOp(c)
	o.bytes += len(res.Value)
	if res.Response != nil {
		o.bytes += len(res.Response.Body)
	}
	err = e.commits.put(context.Background(), o)
	e.freeSlot()
	if err == nil {
		err = <-o.done
	}
	if err != nil {
		e.log.Warn("the outcome of an attempt was not recorded", "job", r.job.ID, "attempt", r.job.Attempt, "outcome", c.Event.Type.String(), "error", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.runs, r.job.Lease)
	if e.draining && len(e.runs) == 0 {
		close(e.idle)
	}
}

// handle calls the handler; a panic fails the attempt, not the hub.
func (e *Engine) handle(ctx context.Context, r *Run) (res Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			e.log.Error("a handler panicked", "kind", r.job.Kind, "job", r.job.ID, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("the handler panicked: %v", p)
		}
	}()
	return e.handlers[r.job.Kind].Run(ctx, r)
}

func (e *Engine) freeSlot() {
	e.mu.Lock()
	e.free++
	more := e.backlog && !e.draining
	e.mu.Unlock()
	if more {
		e.commits.kick(true)
	}
}

// tell ends the context of the attempt with that lease, if it runs in this process.
func (e *Engine) tell(lease string, cause error) {
	e.mu.Lock()
	r := e.runs[lease]
	e.mu.Unlock()
	if r != nil {
		r.cancel(cause)
	}
}
