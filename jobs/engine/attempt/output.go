package attempt

import (
	"encoding/base64"
	"strconv"
	"unicode/utf8"

	"jobhub/jobs"
	"jobhub/jobs/engine/commit"
)

// maxOutputEvent is how many bytes of output one event holds.
const maxOutputEvent = 32 << 10

// Output adds bytes to one of the attempt's output streams. No byte is lost or reordered;
// small pieces may be joined.
func (r *Run) Output(stream string, p []byte) {
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

// Flush emits the incomplete characters that Output held back.
func (r *Run) Flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for stream, p := range r.incomplete {
		r.emitLocked(stream, p)
	}
	clear(r.incomplete)
}

func (r *Run) emitLocked(stream string, p []byte) {
	for len(p) > 0 {
		n := eventSize(p)
		next := p[:n]
		p = p[n:]
		if !r.joinOutputLocked(stream, next) {
			r.output, r.piece = outputReport(&r.job, stream, r.off, next)
			r.put(r.output)
		}
		r.off += int64(n)
	}
}

// joinOutputLocked appends to the newest output event, unless that is full or being stored.
func (r *Run) joinOutputLocked(stream string, p []byte) bool {
	return r.output != nil && r.piece.fits(stream, len(p)) && r.commits.Amend(r.output, func() int {
		r.piece.raw = append(r.piece.raw, p...)
		r.output.Change.Job.Output += int64(len(p))
		return len(p)
	})
}

// eventSize is how many of these bytes go into one event.
func eventSize(p []byte) int {
	n := min(len(p), maxOutputEvent)
	if n < len(p) {
		n -= incompleteRune(p[:n])
	}
	return n
}

// piece is the output of an event that is not stored yet.
type piece struct {
	stream  string
	attempt int
	start   int
	off     int64
	raw     []byte
}

// outputReport returns the op of a new output event, and what it holds.
func outputReport(job *jobs.Job, stream string, off int64, p []byte) (*commit.Op, *piece) {
	o := report(job, jobs.JobOutput, jobs.FieldOutput)
	o.Bytes += len(p)
	o.Change.Job.Output = off + int64(len(p))
	out := &piece{stream: stream, attempt: job.Attempt, start: job.Start, off: off, raw: append([]byte(nil), p...)}
	o.Prepare = func(c *jobs.Change) { c.Event.Data = out.data() }
	return o, out
}

// fits reports whether that many bytes of a stream can be joined to the event.
func (o *piece) fits(stream string, n int) bool {
	return o.stream == stream && len(o.raw)+n <= maxOutputEvent
}

func (o *piece) data() jobs.Value {
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
