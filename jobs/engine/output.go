package engine

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"

	"jobhub/jobs"
)

// maxOutputEvent is how many bytes of output one event holds.
const maxOutputEvent = 32 << 10

// Output adds bytes to one of the attempt's output streams. No byte is lost or reordered;
// small pieces may be joined.
func (r *attemptRun) Output(stream string, p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p = append(r.incomplete[stream], p...)
	keep := incompleteRune(p)
	delete(r.incomplete, stream)
	if keep > 0 {
		r.incomplete[stream] = append([]byte(nil), p[len(p)-keep:]...)
	}
	r.emitLocked(stream, p[:len(p)-keep])
}

// flushOutput emits the incomplete characters that Output held back.
func (r *attemptRun) flushOutput() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for stream, p := range r.incomplete {
		r.emitLocked(stream, p)
	}
	clear(r.incomplete)
}

// emitLocked is called with mu held.
func (r *attemptRun) emitLocked(stream string, p []byte) {
	for len(p) > 0 {
		n := min(len(p), maxOutputEvent)
		if n < len(p) {
			n -= incompleteRune(p[:n])
		}
		piece := p[:n]
		p = p[n:]
		if r.joinOutput(stream, piece) {
			continue
		}
		r.output = r.outputOp(stream, r.off, piece)
		r.off += int64(n)
		r.put(r.output)
	}
}

// outputOp is the op of a new output event.
func (r *attemptRun) outputOp(stream string, off int64, p []byte) *op {
	o := r.newReport(jobs.JobOutput, jobs.FieldOutput)
	o.bytes += len(p)
	o.change.Job.Output = off + int64(len(p))
	o.output = &outputPiece{stream: stream, attempt: r.job.Attempt, start: r.job.Start, off: off, raw: append([]byte(nil), p...)}
	o.prepare = func(ch *jobs.Change) { ch.Event.Data = o.output.data() }
	return o
}

// joinOutput appends to the newest output event, unless that is full or being stored. It is
// called with mu held.
func (r *attemptRun) joinOutput(stream string, p []byte) bool {
	c := r.engine.commits
	c.mu.Lock()
	defer c.mu.Unlock()
	o := r.output
	if o == nil || o.inBatch || o.output.stream != stream || len(o.output.raw)+len(p) > maxOutputEvent {
		return false
	}
	o.output.raw = append(o.output.raw, p...)
	o.bytes += len(p)
	c.bytes += len(p)
	r.off += int64(len(p))
	o.change.Job.Output = r.off
	return true
}

// outputPiece is the output of an event that is not stored yet.
type outputPiece struct {
	stream  string
	attempt int
	start   int
	off     int64
	raw     []byte
}

func (o *outputPiece) data() jobs.Value {
	b := jobs.AppendInt(append(make([]byte, 0, len(o.raw)+96), `{"attempt":`...), o.attempt)
	b = jobs.AppendInt(append(b, `,"start":`...), o.start)
	b = strconv.AppendInt(append(b, `,"off":`...), o.off, 10)
	b = jobs.AppendString(append(b, `,"stream":`...), o.stream)
	if utf8.Valid(o.raw) {
		b = jobs.AppendString(append(b, `,"text":`...), string(o.raw))
	} else {
		b = jobs.AppendString(append(b, `,"base64":`...), base64.StdEncoding.EncodeToString(o.raw))
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
