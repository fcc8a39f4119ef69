package client

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Run is one attempt at a job, as the handler of a [Worker] sees it. Its reports are sent
// after a short delay, in order, until the hub has accepted them, and all before the
// outcome. Its methods may be called from several goroutines. They do nothing once the lease
// is lost.
type Run struct {
	Job Task

	shift  *shift
	ctx    context.Context
	cancel context.CancelCauseFunc // ends ctx
	ended  atomic.Bool             // the outcome is decided

	settling atomic.Bool // the outcome may have reached the hub

	reporting context.Context // ends when the hub accepts no more reports
	hangUp    context.CancelFunc
	hurry     chan struct{} // asks to send reports at once

	mu      sync.Mutex // protects the fields below
	moved   *sync.Cond // reports were sent, or never will be
	reports []report   // not yet sent
	size    int        // of reports, bytes
	sending bool
	n       uint64 // number of the last report that was sent
}

// report is one line of a request with reports. output is its text or base64.
type report struct {
	N       uint64         `json:"n"`
	Type    string         `json:"type"`
	Percent *float64       `json:"percent,omitzero"`
	Message string         `json:"message,omitzero"`
	Data    jsontext.Value `json:"data,omitzero"`
	Stream  string         `json:"stream,omitzero"`
	Text    string         `json:"text,omitzero"`
	Base64  []byte         `json:"base64,omitzero"`
	output  []byte
}

const (
	reportDelay = 50 * time.Millisecond // time in which reports are collected
	mostReports = 256 << 10             // bytes of waiting reports; as escaped JSON they still fit in a request
	mostOutput  = 32 << 10              // bytes of one report of output
	mostData    = 16 << 10              // bytes of the data of progress
)

func (s *shift) newRun(t Task) *Run {
	r := &Run{Job: t, shift: s, hurry: make(chan struct{}, 1)}
	r.moved = sync.NewCond(&r.mu)
	r.ctx, r.cancel = context.WithCancelCause(context.WithoutCancel(s.calling))
	r.reporting, r.hangUp = context.WithCancel(s.calling)
	context.AfterFunc(r.reporting, r.moved.Broadcast)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs[t.lease] = r
	return r
}

// Progress reports the progress of the attempt, in percent; below 0 means unknown. Only the
// newest progress is sent.
func (r *Run) Progress(percent float64, message string) {
	r.Report(Progress{Percent: &percent, Message: message})
}

// Report is Progress with data of the handler's own: JSON of at most 16 KiB. Other data is
// left out.
func (r *Run) Report(p Progress) {
	said := report{Type: "progress", Message: p.Message}
	if p.Percent != nil && *p.Percent >= 0 { // and no NaN
		said.Percent = new(math.Min(*p.Percent, 100))
	}
	if len(p.Data) <= mostData && p.Data.IsValid() {
		said.Data = p.Data.Clone()
	}
	r.add(said)
}

// Checkpoint stores v, from which the next attempt can continue: JSON of at most 64 KiB. Only
// the newest is kept.
func (r *Run) Checkpoint(v any) error {
	data, err := json.Marshal(v)
	if err == nil && len(data) > 64<<10 {
		err = fmt.Errorf("the checkpoint has %d bytes, and at most 64 KiB are allowed; store large data elsewhere", len(data))
	}
	if err == nil {
		_, err = json.Marshal(report{Data: data}) // it may be nested too deep for a report
	}
	if err == nil {
		r.add(report{Type: "checkpoint", Data: data})
	}
	return err
}

// Output adds bytes to one of the attempt's output streams. It blocks while too many bytes
// wait to be sent.
func (r *Run) Output(stream string, p []byte) {
	for piece := range slices.Chunk(p, mostOutput) {
		r.add(report{Type: "output", Stream: stream, output: bytes.Clone(piece)})
	}
}

// Log adds a line to the stream log.
func (r *Run) Log(text string) {
	if len(text) == 0 || text[len(text)-1] != '\n' {
		text += "\n"
	}
	r.Output("log", []byte(text))
}

func (r *Run) add(p report) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.size >= mostReports && r.reporting.Err() == nil {
		r.moved.Wait()
	}
	if r.reporting.Err() != nil {
		return
	}
	if p.Type != "output" {
		r.reports = slices.DeleteFunc(r.reports, func(old report) bool {
			if old.Type == p.Type {
				r.size -= old.bytes()
			}
			return old.Type == p.Type
		})
	}
	r.size += p.bytes()
	if last := len(r.reports) - 1; last >= 0 && p.Type == "output" && r.reports[last].Stream == p.Stream &&
		r.reports[last].Type == "output" && len(r.reports[last].output)+len(p.output) <= mostOutput {
		r.reports[last].output = append(r.reports[last].output, p.output...)
	} else {
		r.reports = append(r.reports, p)
	}
	if r.size >= mostReports/2 {
		r.hasten()
	}
	if !r.sending {
		r.sending = true
		go r.send()
	}
}

func (p *report) bytes() int { return len(p.Message) + len(p.Data) + len(p.output) }

func (r *Run) hasten() {
	select {
	case r.hurry <- struct{}{}:
	default:
	}
}

// flush waits until the hub has all reports, or accepts no more.
func (r *Run) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.sending && r.reporting.Err() == nil {
		r.hasten()
		r.moved.Wait()
	}
}

// send sends reports until there are none.
func (r *Run) send() {
	for {
		select {
		case <-r.hurry:
		case <-time.After(reportDelay):
		case <-r.reporting.Done():
		}
		body, last := r.take()
		r.post(body, last)
		r.mu.Lock()
		r.moved.Broadcast()
		if len(r.reports) == 0 || r.reporting.Err() != nil {
			r.sending = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
	}
}

// take numbers the waiting reports and writes one per line.
func (r *Run) take() (body []byte, last uint64) {
	r.mu.Lock()
	list := r.reports
	r.reports, r.size = nil, 0
	first := r.n + 1
	r.n += uint64(len(list))
	last = r.n
	r.mu.Unlock()
	var b bytes.Buffer
	for i, p := range list {
		if p.N = first + uint64(i); utf8.Valid(p.output) {
			p.Text = string(p.output)
		} else {
			p.Base64 = p.output
		}
		if err := json.MarshalWrite(&b, p, jsontext.AllowInvalidUTF8(true)); err != nil { // can't happen: it has only texts and numbers
			panic(err)
		}
		b.WriteByte('\n')
	}
	return b.Bytes(), last
}

// post sends reports, up to number last, until the hub accepts or refuses them.
func (r *Run) post(body []byte, last uint64) {
	for failures := 1; r.reporting.Err() == nil; failures++ {
		var out struct {
			orders
			Accepted uint64 `json:"accepted_to"`
		}
		err := r.shift.send(r.reporting, "/v1/leases/"+r.Job.lease+"/events", "application/x-ndjson", body, &out)
		if err == nil {
			r.shift.obey(out.orders)
			if out.Accepted >= last {
				return
			}
			err = fmt.Errorf("the hub accepted only the reports up to number %d of %d", out.Accepted, last)
		}
		if p, ok := problem(err); ok && !again(err) {
			if p.Status == http.StatusConflict {
				r.lose()
			} else {
				r.shift.Logger.Error("reports are refused", "job", r.Job.ID, "error", err)
			}
			return
		}
		r.shift.wait(r.reporting, "reporting", failures, err)
	}
}

// lose ends an attempt whose lease was lost.
func (r *Run) lose() {
	r.cancel(ErrLeaseLost)
	r.hangUp()
}
