package web

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"

	"jobhub/jobs"
	"jobhub/web/view"
)

// This file is what can be loaded of a job: its output as text, its input and its result.

const outputChunk = 1 << 20 // bytes of events read at a time

// lineNumber reads the number of a line of output; 0 for none.
func lineNumber(text string) (int, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return 0, jobs.NewProblem(jobs.BadMessage, "Malformed query", "The parameter lines takes the number of a line, from 1.")
	}
	return n, nil
}

// wholeWay is all that the log has of a job, with every line.
func (s *Server) wholeWay(ctx context.Context, job jobs.Job) (view.Way, error) {
	events, cut, err := s.history(ctx, job)
	way := view.Way{Cut: cut, Whole: true}
	way.Add(slices.Values(events))
	return way, err
}

// jobOutput is GET /jobs/{id}/output: what the log still has of what a job wrote, as it
// wrote it. It is read and sent piece by piece. One that breaks off is cut.
func (s *Server) jobOutput(w http.ResponseWriter, r *http.Request) {
	job, err := s.jobOf(r)
	var after uint64
	if err == nil {
		after, _, err = s.earliest(r.Context(), job)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	s.attachment(w, "text/plain; charset=utf-8", job.ID.String()+".txt")
	out := bufio.NewWriter(w)
	for after < job.Seq {
		events, err := s.Store.Read(r.Context(), jobs.ReadQuery{Job: job.ID, After: after, MaxBytes: outputChunk})
		for _, e := range events {
			after = e.Seq
			if e.Type == jobs.JobOutput && err == nil {
				_, err = out.Write(written(e))
			}
		}
		if err == nil {
			err = out.Flush()
		}
		if err != nil {
			if r.Context().Err() == nil {
				s.Logger.Error("an output broke off", "job", job.ID, "error", err)
			}
			panic(http.ErrAbortHandler)
		}
		if len(events) == 0 {
			return
		}
		http.NewResponseController(w).Flush()
	}
}

// written is what an event of output tells, as the job wrote it.
func written(e *jobs.Event) []byte {
	var data struct {
		Text   *string `json:"text"`
		Base64 []byte  `json:"base64"`
	}
	if e.Truncated || json.Unmarshal(e.Data, &data) != nil {
		return []byte("[more than " + strconv.Itoa(jobs.MaxEventData) + " bytes at once, not kept here]\n")
	}
	if data.Text != nil {
		return []byte(*data.Text)
	}
	return data.Base64
}

// jobPayload is GET /jobs/{id}/input and …/result: the JSON as it is kept, null
// where there is none.
func (s *Server) jobPayload(name string, of func(*jobs.Job) jobs.Value) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		job, err := s.jobOf(r)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		s.attachment(w, "application/json", job.ID.String()+"-"+name+".json")
		io.WriteString(w, cmp.Or(string(of(&job)), "null"))
	}
}

func inputOf(j *jobs.Job) jobs.Value  { return j.Input }
func resultOf(j *jobs.Job) jobs.Value { return j.ResultValue() }

func (s *Server) jobOf(r *http.Request) (jobs.Job, error) {
	id, err := jobID(r)
	if err != nil {
		return jobs.Job{}, err
	}
	job, _, err := s.Store.Job(r.Context(), tenant(r), id)
	return job, err
}

// attachment is for what a browser is to keep, and never to run.
func (s *Server) attachment(w http.ResponseWriter, contentType, name string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "no-store")
}
