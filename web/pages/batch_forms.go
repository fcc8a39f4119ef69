package pages

import (
	"net/http"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/web/batch"
	"jobhub/web/rest"
	"jobhub/web/view"
)

// This file serves the buttons on the page of a batch or a fan-out.

// ofMany reads the batch or fan-out of a form.
func (s batchPages) ofMany(w http.ResponseWriter, r *http.Request) (jobs.Job, error) {
	id, err := rest.JobID(r)
	if err == nil {
		err = readForm(w, r, rest.MaxForm)
	}
	if err != nil {
		return jobs.Job{}, err
	}
	job, _, err := s.Store.Job(r.Context(), rest.Tenant(r), id)
	if err == nil {
		err = isOfMany(job)
	}
	return job, err
}

// cancelBatchForm is POST /batches/{id}/cancel. With ask in the form, it answers with a
// page that asks for confirmation.
func (s batchPages) cancelBatchForm(w http.ResponseWriter, r *http.Request) error {
	job, err := s.ofMany(w, r)
	if err == nil && r.PostForm.Get("ask") != "" {
		return s.Page(w, r, http.StatusOK, view.ConfirmPage(s.Shell(r, s.Hub.Position()), cancelBatchQuestion(job)))
	}
	if err == nil {
		_, _, err = s.Engine.Cancel(r.Context(), rest.Tenant(r), job.ID)
	}
	if err != nil {
		return err
	}
	return seeOther(w, "/batches/"+job.ID.String())
}

func cancelBatchQuestion(job jobs.Job) view.Confirm {
	c := cancelQuestion(job)
	path := "/batches/" + job.ID.String()
	c.Action, c.Back = path+"/cancel", path
	if job.State.Final() {
		return c
	}
	if job.Kind == batch.Kind {
		c.Title, c.Button = "Cancel this batch?", "Cancel the batch"
		c.Text = "Requests that have not started are skipped. What the others did stays, and jobs that they submitted continue. This can't be undone."
	} else {
		c.Title, c.Button = "Cancel this fan-out?", "Cancel the fan-out"
		c.Text = "Running calls are stopped. Responses received so far are kept. This can't be undone."
	}
	return c
}

// retryBatchForm is POST /batches/{id}/retry: it submits a new job with the requests that
// failed or were skipped, and redirects to its page.
func (s batchPages) retryBatchForm(w http.ResponseWriter, r *http.Request) error {
	job, err := s.ofMany(w, r)
	var again engine.RetryOptions
	if err == nil {
		again, err = s.onlyFailed(r, &job)
	}
	var accepted engine.Accepted
	if err == nil {
		again.Caller = rest.Caller(r)
		accepted, err = s.Engine.Retry(r.Context(), rest.Tenant(r), job.ID, again)
	}
	if err != nil {
		return err
	}
	return seeOther(w, "/batches/"+accepted.Job.ID.String())
}

// onlyFailed returns which requests or targets of a finished job are to be repeated.
func (s batchPages) onlyFailed(r *http.Request, job *jobs.Job) (again engine.RetryOptions, err error) {
	if !job.State.Final() {
		return again, jobs.NewProblem(jobs.Conflict, "Not finished", "It is %s; what failed can be retried once it has ended.", job.State)
	}
	m, _, err := s.batchModel(r.Context(), rest.Tenant(r), job.ID, view.BatchPlace{}, &batchMemory{})
	if err != nil {
		return again, err
	}
	picked := m.Again()
	if len(picked) == 0 {
		return again, jobs.NewProblem(jobs.Conflict, "Nothing to retry", "Nothing of it failed. To repeat it as a whole, retry its job.")
	}
	if job.Kind == batch.Kind {
		again.Input, err = someOf(job.Input, picked)
		return again, err
	}
	for _, i := range picked {
		again.Targets = append(again.Targets, m.Items[i].Name)
	}
	return again, nil
}

// someOf is a batch with only the picked requests. Dependencies on other requests are
// removed, as those have their answers.
func someOf(input jobs.Value, picked []int) (jobs.Value, error) {
	var doc struct {
		Requests []map[string]jobs.Value `json:"requests"`
	}
	if err := json.Unmarshal(input, &doc); err != nil {
		return nil, err
	}
	kept := map[string]bool{}
	for _, i := range picked {
		kept[batch.PlainText(doc.Requests[i]["id"])] = true
	}
	requests := make([]map[string]jobs.Value, 0, len(picked))
	for _, i := range picked {
		request := doc.Requests[i]
		if request["depends_on"] != nil {
			var all, some []string
			if err := json.Unmarshal(request["depends_on"], &all); err != nil {
				return nil, err
			}
			for _, on := range all {
				if kept[on] {
					some = append(some, on)
				}
			}
			left, err := json.Marshal(some)
			if err != nil {
				return nil, err
			}
			request["depends_on"] = left
		}
		requests = append(requests, request)
	}
	return json.Marshal(map[string]any{"requests": requests}, json.Deterministic(true))
}
