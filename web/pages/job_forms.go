package pages

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/web/rest"
	"jobhub/web/view"
)

// This file serves the buttons of a job's page. All are forms that work without scripts.

// cancelForm is POST /jobs/{id}/cancel. With ask in the form, it answers with a page that
// asks for confirmation.
func (s jobPages) cancelForm(w http.ResponseWriter, r *http.Request) error {
	id, err := rest.JobID(r)
	if err == nil {
		err = readForm(w, r, rest.MaxForm)
	}
	if err == nil && r.PostForm.Get("ask") != "" {
		var job jobs.Job
		var pos jobs.Position
		if job, pos, err = s.Store.Job(r.Context(), rest.Tenant(r), id); err == nil {
			return s.Page(w, r, http.StatusOK, view.ConfirmPage(s.Shell(r, pos), cancelQuestion(job)))
		}
	}
	if err == nil {
		_, _, err = s.Engine.Cancel(r.Context(), rest.Tenant(r), id)
	}
	if err != nil {
		return err
	}
	return seeOther(w, "/jobs/"+id.String())
}

func cancelQuestion(job jobs.Job) view.Confirm {
	path := "/jobs/" + job.ID.String()
	c := view.Confirm{Title: "Cancel this job?", Button: "Cancel the job", Action: path + "/cancel", Back: path}
	switch {
	case job.State.Final():
		c.Title, c.Text, c.Button = "Nothing to cancel", "The job has "+job.State.String()+" already.", ""
		if job.State == jobs.Cancelled {
			c.Text = "The job is cancelled already."
		}
	case job.State == jobs.Running:
		c.Text = "The job is running. It is told to stop; a result within " + jobs.CancelGrace.String() + " still counts. This can't be undone."
	default:
		c.Text = "The job is " + job.State.String() + " and will not run. This can't be undone."
	}
	return c
}

// editPage is GET /jobs/{id}/edit: a form with the input of a job that has ended.
func (s jobPages) editPage(w http.ResponseWriter, r *http.Request) error {
	id, err := rest.JobID(r)
	var job jobs.Job
	if err == nil {
		job, _, err = s.Store.Job(r.Context(), rest.Tenant(r), id)
	}
	if err == nil && !job.State.Final() {
		err = jobs.NewProblem(jobs.Conflict, "Not finished", "The job is %s; only a finished job can be retried.", job.State)
	}
	if err == nil && job.Kind == jobs.KindWebhook { // its URL may hold a secret
		err = jobs.NewProblem(jobs.Conflict, "Not editable", "A delivery can't be edited. Retry it as it is.")
	}
	if err != nil {
		return err
	}
	input := jobs.Value(jobs.AppendValue(nil, job.Input))
	if err := input.Indent(jsontext.WithIndent("  ")); err != nil { // stored input is always JSON
		input = job.Input
	}
	return s.Page(w, r, http.StatusOK, view.EditPage(s.Shell(r, s.Hub.Position()), view.Edit{Job: job, Input: string(input)}))
}

// retryForm is POST /jobs/{id}/retry: it redirects to the new job. If the edited input is
// refused, it shows the form again with what is wrong.
func (s jobPages) retryForm(w http.ResponseWriter, r *http.Request) error {
	id, err := rest.JobID(r)
	if err == nil {
		err = readForm(w, r, rest.MaxInputForm)
	}
	if err != nil {
		return err
	}
	var input jobs.Value
	if text := r.PostForm.Get("input"); r.PostForm.Has("input") {
		if input, err = editedInput(text); err != nil {
			return s.editAgain(w, r, id, text, err)
		}
	}
	accepted, err := s.Engine.Retry(r.Context(), rest.Tenant(r), id, engine.RetryOptions{Input: input, Caller: rest.Caller(r)})
	if err != nil && input != nil {
		return s.editAgain(w, r, id, r.PostForm.Get("input"), err)
	}
	if err != nil {
		return err
	}
	return seeOther(w, "/jobs/"+accepted.Job.ID.String())
}

// editedInput is JSON as a person wrote it.
func editedInput(text string) (jobs.Value, error) {
	if len(text) > jobs.MaxInput {
		return nil, jobs.NewProblem(jobs.TooLarge, "Too large", "An input takes 2 MiB at most.")
	}
	var input jobs.Value
	return input, jobs.Decode([]byte(text), &input) // the engine writes it in one line
}

func (s jobPages) editAgain(w http.ResponseWriter, r *http.Request, id jobs.ID, text string, err error) error {
	p := rest.ProblemOf(err)
	job, _, readErr := s.Store.Job(r.Context(), rest.Tenant(r), id)
	if p.Status >= 500 && p.Code == jobs.Internal || readErr != nil {
		return err
	}
	return s.Page(w, r, p.Status, view.EditPage(s.Shell(r, s.Hub.Position()), view.Edit{Job: job, Input: text, Problem: &p}))
}

func readForm(w http.ResponseWriter, r *http.Request, most int64) error {
	r.Body = http.MaxBytesReader(w, r.Body, most)
	if err := r.ParseForm(); err != nil {
		if errors.Is(err, rest.ErrSlowBody) {
			return rest.ErrSlowBody
		}
		return jobs.NewProblem(jobs.BadMessage, "Malformed form", "The form can't be read, or is too large.")
	}
	return nil
}

// runForm is POST /jobs/{id}/run.
func (s jobPages) runForm(w http.ResponseWriter, r *http.Request) error {
	id, err := rest.JobID(r)
	if err == nil {
		_, _, err = s.Engine.RunNow(r.Context(), rest.Tenant(r), id)
	}
	if err != nil {
		return err
	}
	return seeOther(w, "/jobs/"+id.String())
}

// deleteForm is POST /jobs/{id}/delete. With ask in the form, it answers with a page that
// asks for confirmation.
func (s jobPages) deleteForm(w http.ResponseWriter, r *http.Request) error {
	id, err := rest.JobID(r)
	if err == nil {
		err = readForm(w, r, rest.MaxForm)
	}
	path := "/jobs/" + id.String()
	if err == nil && r.PostForm.Get("ask") != "" {
		if _, _, err = s.Store.Job(r.Context(), rest.Tenant(r), id); err == nil {
			return s.Page(w, r, http.StatusOK, view.ConfirmPage(s.Shell(r, s.Hub.Position()), view.Confirm{Title: "Delete this job?",
				Text: "The job is deleted at once, with its input and result. Its child jobs stay. This can't be undone.", Action: path + "/delete",
				Button: "Delete the job", Back: path}))
		}
	}
	if err == nil {
		err = s.Engine.Delete(r.Context(), rest.Tenant(r), id)
	}
	if err != nil {
		return err
	}
	return seeOther(w, "/jobs")
}

// changePage is GET /jobs/{id}/change: a form with what can be changed of a job.
func (s jobPages) changePage(w http.ResponseWriter, r *http.Request) error {
	id, err := rest.JobID(r)
	var job jobs.Job
	if err == nil {
		job, _, err = s.Store.Job(r.Context(), rest.Tenant(r), id)
	}
	if err == nil { // show that a job can't be changed before anybody fills in the form
		_, _, err = s.Engine.Change(r.Context(), rest.Tenant(r), id, jobs.Edit{})
	}
	if err != nil {
		return err
	}
	form := view.Form{Values: map[string]string{"priority": strconv.Itoa(job.Priority), "queue": job.Queue}}
	return s.Page(w, r, http.StatusOK, view.ChangePage(s.Shell(r, s.Hub.Position()), job, form))
}

// changeForm is POST /jobs/{id}/change. Errors are shown beside the fields.
func (s jobPages) changeForm(w http.ResponseWriter, r *http.Request) error {
	id, err := rest.JobID(r)
	var form *view.Form
	if err == nil {
		form, err = readFields(w, r, "priority", "queue", "delay")
	}
	if err != nil {
		return err
	}
	edit, err := editOf(form)
	if err == nil && len(form.Errors) == 0 {
		_, _, err = s.Engine.Change(r.Context(), rest.Tenant(r), id, edit)
	}
	if err == nil && len(form.Errors) == 0 {
		return seeOther(w, "/jobs/"+id.String())
	}
	job, _, readErr := s.Store.Job(r.Context(), rest.Tenant(r), id)
	if p := rest.ProblemOf(err); readErr != nil || err != nil && (p.Status >= 500 && p.Code == jobs.Internal || p.Code == jobs.Conflict) {
		return errors.Join(readErr, err)
	}
	if err != nil {
		addErrors(form, err)
	}
	return s.Page(w, r, refusedWith(err), view.ChangePage(s.Shell(r, s.Hub.Position()), job, *form))
}

// editOf is the change that the fields of a form describe, as for PATCH.
func editOf(form *view.Form) (jobs.Edit, error) {
	members := map[string]any{}
	for _, name := range []string{"queue", "delay"} {
		if text := form.Values[name]; text != "" {
			members[name] = text
		}
	}
	if text := form.Values["priority"]; text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			form.Errors["priority"] = "must be a whole number"
		}
		members["priority"] = n
	}
	body, err := json.Marshal(members)
	if err != nil { // texts and numbers
		panic(err)
	}
	return jobs.DecodeEdit(body)
}
