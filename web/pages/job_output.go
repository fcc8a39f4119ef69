package pages

import (
	"bufio"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/web/rest"
)

// This file serves the downloads of a job: its output as text, its input and its result.

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

// jobOutput is GET /jobs/{id}/output: the output of a job that the log still has, unchanged,
// with a line between one start of the job and the next. It is read and sent piece by piece.
// After an error the connection is broken off, so that the output is seen to be incomplete.
func (s jobPages) jobOutput(w http.ResponseWriter, r *http.Request) error {
	job, err := s.jobOf(r)
	if err != nil {
		return err
	}
	out, begun := bufio.NewWriter(w), false
	var text outputText
	begin := func() {
		if !begun {
			attachment(w, "text/plain; charset=utf-8", job.ID.String()+".txt")
		}
		begun = true
	}
	_, err = s.eachPiece(r.Context(), job.ID, func(events []*jobs.Event) error {
		begin()
		for _, e := range events {
			if e.Type == jobs.JobOutput {
				out.Write(text.of(e)) // an error is returned by the flush
			}
		}
		err := out.Flush()
		http.NewResponseController(w).Flush()
		return err
	})
	switch {
	case err == nil:
		begin() // also if there is no output
	case !begun:
		return err
	default:
		if r.Context().Err() == nil {
			s.Logger.Error("an output broke off", "job", job.ID, "error", err)
		}
		panic(http.ErrAbortHandler)
	}
	return nil
}

// outputText joins the output events of a job to one text.
type outputText struct {
	start int  // the start that wrote last; 0 before the first
	open  bool // the last output ended without a line end
}

// of returns the text of an output event as the job wrote it. If the event is of another
// start than the one before, a line that names the start comes first.
func (t *outputText) of(e *jobs.Event) (text []byte) {
	start, written := writtenBy(e)
	if start != t.start && t.start != 0 && start != 0 {
		if t.open {
			text = append(text, '\n')
		}
		text = append(text, "[start "+strconv.Itoa(start)+"]\n"...)
	}
	if start != 0 {
		t.start = start
	}
	if text = append(text, written...); len(text) > 0 {
		t.open = text[len(text)-1] != '\n'
	}
	return text
}

// writtenBy returns the text of an output event, and the number of the start that wrote it; 0
// if that is not known.
func writtenBy(e *jobs.Event) (start int, written []byte) {
	var data struct {
		Start  int     `json:"start"`
		Text   *string `json:"text"`
		Base64 []byte  `json:"base64"`
	}
	if e.Truncated || json.Unmarshal(e.Data, &data) != nil {
		return 0, []byte("[more than " + strconv.Itoa(jobs.MaxEventData) + " bytes at once, not kept here]\n")
	}
	if data.Text != nil {
		return data.Start, []byte(*data.Text)
	}
	return data.Start, data.Base64
}

// jobPayload is GET /jobs/{id}/input and …/result: the JSON as it is stored, but with the
// URLs of callbacks cut; null if there is none.
func (s jobPages) jobPayload(name string, of func(*jobs.Job) jobs.Value) rest.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id, err := rest.JobID(r)
		release := func() {}
		var job jobs.Job
		if err == nil {
			job, _, release, err = s.ReadFullJob(r.Context(), rest.Tenant(r), id)
		}
		defer release()
		if err != nil {
			return err
		}
		attachment(w, "application/json", job.ID.String()+"-"+name+".json")
		w.Write(jobs.AppendValue(nil, of(&job)))
		return nil
	}
}

func inputOf(j *jobs.Job) jobs.Value  { return withoutAddresses(*j).Input }
func resultOf(j *jobs.Job) jobs.Value { return j.ResultValue() }

func (s jobPages) jobOf(r *http.Request) (jobs.Job, error) {
	id, err := rest.JobID(r)
	if err != nil {
		return jobs.Job{}, err
	}
	job, _, _, err := jobs.Brief(r.Context(), s.Store, rest.Tenant(r), id)
	return job, err
}

// attachment makes the browser save the answer, and never run it.
func attachment(w http.ResponseWriter, contentType, name string) {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox")
	h.Set("Cache-Control", "no-store")
}
