package rest

import (
	"bytes"
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"

	"jobhub/jobs"
)

// This file writes jobs whose parts (input, result, response) are large: chunk by chunk from
// the store where that is possible, so that a slow client costs one chunk of memory. Answers
// that have to be in memory as a whole share a budget.

// Budget limits how many bytes are in memory at the same time.
type Budget struct{ remaining atomic.Int64 }

// NewBudget returns a budget of limit bytes.
func NewBudget(limit int64) *Budget {
	b := new(Budget)
	b.remaining.Store(limit)
	return b
}

// Reserve takes n bytes from the budget, or none if fewer are left: then it returns false.
func (b *Budget) Reserve(n int64) bool {
	if b.remaining.Add(-n) < 0 {
		b.remaining.Add(n)
		return false
	}
	return true
}

// Release gives n reserved bytes back.
func (b *Budget) Release(n int64) { b.remaining.Add(n) }

// Remaining returns how many bytes are left.
func (b *Budget) Remaining() int64 { return b.remaining.Load() }

// errTooManyAnswers is the answer when the budget is used up.
var errTooManyAnswers error = jobs.Unavailable("Too many long answers", "Too many long answers are in memory. Try again in a few seconds.")

// documentFactor is how much memory a job's document takes while it is made, as a multiple of
// the size of its parts.
const documentFactor = 4

// openParts opens the parts that the job, read with jobs.Brief, lacks. Each is nil if it is
// there. Of a response, status and headers are put into the job.
func (s *Base) openParts(ctx context.Context, job *jobs.Job) (input, result, body *jobs.Payload, err error) {
	if job.Input == nil {
		if input, err = jobs.OpenPayload(ctx, s.Store, job.Tenant, job.ID, jobs.PartInput); err != nil {
			return nil, nil, nil, err
		}
	}
	result, body, err = s.OpenOutcome(ctx, job)
	return input, result, body, err
}

// OpenOutcome opens the result, or the body of the response, that the job lacks: see
// openParts.
func (s *Base) OpenOutcome(ctx context.Context, job *jobs.Job) (result, body *jobs.Payload, err error) {
	if job.Result != nil || job.Response != nil {
		return nil, nil, nil
	}
	if job.Response, body, err = jobs.OpenResponse(ctx, s.Store, job.Tenant, job.ID); err != nil || body != nil {
		return nil, body, err
	}
	result, err = jobs.OpenPayload(ctx, s.Store, job.Tenant, job.ID, jobs.PartResult)
	return result, nil, err
}

// PayloadSize returns how many bytes of a payload are still to be read; 0 for nil.
func PayloadSize(p *jobs.Payload) int64 {
	if p == nil {
		return 0
	}
	return p.Left()
}

// ReadFullJob reads a job with all its parts, if the budget allows it. Call the function that
// it returns when they are no longer needed.
func (s *Base) ReadFullJob(ctx context.Context, tenant string, id jobs.ID) (jobs.Job, jobs.Position, func(), error) {
	none := func() {}
	job, pos, large, err := jobs.Brief(ctx, s.Store, tenant, id)
	if err != nil || !large {
		return job, pos, none, err
	}
	input, result, body, err := s.openParts(ctx, &job)
	if err != nil {
		return job, pos, none, err
	}
	size := documentFactor * (PayloadSize(input) + PayloadSize(result) + PayloadSize(body))
	if !s.Answers.Reserve(size) {
		return job, pos, none, errTooManyAnswers
	}
	if job, pos, err = s.Store.Job(ctx, tenant, id); err != nil {
		s.Answers.Release(size)
		return job, pos, none, err
	}
	return job, pos, sync.OnceFunc(func() { s.Answers.Release(size) }), nil
}

// placeholder marks a part of a document that is copied from the store. It is random, so
// that no job can contain it.
var placeholder = jobs.Value(strconv.Quote("part " + rand.Text()))

// WriteJob answers with the document of a job that was read with jobs.Brief, which reports
// whether the job is large.
func (s *Base) WriteJob(w http.ResponseWriter, r *http.Request, job *jobs.Job, pos jobs.Position, large bool) error {
	if !large {
		return WriteJSON(w, http.StatusOK, AppendJob(nil, job, pos))
	}
	input, result, body, err := s.openParts(r.Context(), job)
	small := PayloadSize(input)+PayloadSize(result) <= MaxInlineParts
	if err == nil && (small || body != nil || result != nil && !job.State.Final()) { // small, or has to be encoded again, or may still change
		whole, pos, release, err := s.ReadFullJob(r.Context(), job.Tenant, job.ID)
		defer release()
		if err != nil {
			return err
		}
		return WriteJSON(w, http.StatusOK, AppendJob(nil, &whole, pos))
	}
	if err != nil {
		return err
	}
	var parts []*jobs.Payload
	if input != nil {
		job.Input, parts = placeholder, append(parts, input)
	}
	if result != nil {
		job.Result, parts = placeholder, append(parts, result)
	}
	rest := AppendJob(nil, job, pos)
	size := int64(len(rest)+1-len(parts)*len(placeholder)) + PayloadSize(input) + PayloadSize(result)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
	w.WriteHeader(http.StatusOK)
	for _, part := range parts {
		var before []byte
		before, rest, _ = bytes.Cut(rest, placeholder)
		w.Write(before)
		s.CopyPayload(w, r, part)
	}
	w.Write(append(rest, '\n'))
	return nil
}

// WriteCurrentJob reads a job and answers with its document.
func (s *Base) WriteCurrentJob(w http.ResponseWriter, r *http.Request, id jobs.ID) error {
	job, pos, large, err := jobs.Brief(r.Context(), s.Store, Tenant(r), id)
	if err != nil {
		return err
	}
	return s.WriteJob(w, r, &job, pos, large)
}

// copyBuffers holds buffers for copying payloads.
var copyBuffers = sync.Pool{New: func() any { return new([copyBufferSize]byte) }}

// CopyPayload writes the rest of a payload, and nothing for HEAD. If that fails, it aborts the
// connection, so that the client notices that the answer is incomplete.
func (s *Base) CopyPayload(w io.Writer, r *http.Request, p *jobs.Payload) {
	if p == nil || r.Method == http.MethodHead {
		return
	}
	buffer := copyBuffers.Get().(*[copyBufferSize]byte)
	defer copyBuffers.Put(buffer)
	for {
		n, err := p.Next(r.Context(), buffer[:])
		if err == io.EOF {
			return
		}
		if err == nil {
			_, err = w.Write(buffer[:n])
		}
		if err != nil {
			if r.Context().Err() == nil {
				s.Logger.Error("an answer was cut off", "path", r.URL.Path, "error", err)
			}
			panic(http.ErrAbortHandler)
		}
	}
}
