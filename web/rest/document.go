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

// This file writes jobs whose parts are large: piece by piece from the store where that is
// possible, so that a client that takes its time costs one piece. What has to be in memory
// as a whole has a bound for all together.

// Budget is bytes that may be in memory at the same time.
type Budget struct{ remaining atomic.Int64 }

func NewBudget(most int64) *Budget {
	b := new(Budget)
	b.remaining.Store(most)
	return b
}

// Reserve takes bytes, or none if there are not as many left.
func (b *Budget) Reserve(n int64) bool {
	if b.remaining.Add(-n) < 0 {
		b.remaining.Add(n)
		return false
	}
	return true
}

func (b *Budget) Release(n int64) { b.remaining.Add(n) }

// Remaining is how many bytes are left.
func (b *Budget) Remaining() int64 { return b.remaining.Load() }

// errTooManyAnswers answers where the budget is used up.
var errTooManyAnswers error = jobs.Unavailable("Too many long answers", "The hub holds as many long answers as it may. Ask again in a moment.")

// documentFactor is how many times its parts a job takes in memory while its document is made.
const documentFactor = 4

// openParts opens the parts of a job that were left out of it; of a response, the head is put
// into the job. Each is nil if nothing was left out.
func (s *Base) openParts(ctx context.Context, job *jobs.Job) (input, result, body *jobs.Payload, err error) {
	if job.Input == nil {
		if input, err = jobs.OpenPayload(ctx, s.Store, job.Tenant, job.ID, jobs.PartInput); err != nil {
			return nil, nil, nil, err
		}
	}
	result, body, err = s.OpenOutcome(ctx, job)
	return input, result, body, err
}

// OpenOutcome opens what came out of a job.
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

func PayloadSize(p *jobs.Payload) int64 {
	if p == nil {
		return 0
	}
	return p.Left()
}

// ReadFullJob reads a job with all its parts, if there is room. The function returned has to
// be called when they are needed no more.
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

// placeholder stands in a document for a part that follows from the store. Nobody can guess it.
var placeholder = jobs.Value(strconv.Quote("part " + rand.Text()))

// WriteJob answers with the document of a job that was read in brief.
func (s *Base) WriteJob(w http.ResponseWriter, r *http.Request, job *jobs.Job, pos jobs.Position, large bool) error {
	if !large {
		return WriteJSON(w, http.StatusOK, AppendJob(nil, job, pos))
	}
	input, result, body, err := s.openParts(r.Context(), job)
	small := PayloadSize(input)+PayloadSize(result) <= MaxInlineParts
	if err == nil && (small || body != nil || result != nil && !job.State.Final()) { // or has to be encoded anew, or may change
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

// WriteCurrentJob answers with the document of a job as it is now.
func (s *Base) WriteCurrentJob(w http.ResponseWriter, r *http.Request, id jobs.ID) error {
	job, pos, large, err := jobs.Brief(r.Context(), s.Store, Tenant(r), id)
	if err != nil {
		return err
	}
	return s.WriteJob(w, r, &job, pos, large)
}

// copyBuffers are what payloads are copied with.
var copyBuffers = sync.Pool{New: func() any { return new([copyBufferSize]byte) }}

// CopyPayload writes what is left of a part. One that breaks off is cut, so that nobody takes it for whole.
func (s *Base) CopyPayload(w io.Writer, r *http.Request, p *jobs.Payload) {
	if p == nil || r.Method == http.MethodHead {
		return
	}
	piece := copyBuffers.Get().(*[copyBufferSize]byte)
	defer copyBuffers.Put(piece)
	for {
		n, err := p.Next(r.Context(), piece[:])
		if err == io.EOF {
			return
		}
		if err == nil {
			_, err = w.Write(piece[:n])
		}
		if err != nil {
			if r.Context().Err() == nil {
				s.Logger.Error("an answer broke off", "path", r.URL.Path, "error", err)
			}
			panic(http.ErrAbortHandler)
		}
	}
}
