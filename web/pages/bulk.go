package pages

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/web/auth"
	"jobhub/web/rest"
	"jobhub/web/view"
)

// bulkForm is POST /jobs/bulk: it cancels or retries the jobs that are selected on the
// page, or all that match its filter. With ask in the form, it first shows how many.
func (s tables) bulkForm(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(w, r, rest.MaxBulkForm); err != nil {
		return err
	}
	action, scope, _ := strings.Cut(r.PostForm.Get("do"), " ")
	need, known := mayBulk[action]
	values, err := url.ParseQuery(r.PostForm.Get("back"))
	if !known || err != nil || scope != "selected" && scope != "matching" || len(r.PostForm["id"]) > rest.MaxSelected {
		return jobs.NewProblem(jobs.BadMessage, "Malformed form", "The form names no action or no jobs.")
	}
	if scope == "matching" { // as by the API
		need = auth.Operate
	}
	if who := rest.IdentityOf(r); !who.May(need, auth.Target{}) {
		return rest.NotAllowed(who, need)
	}
	q, err := parseTable(rest.Tenant(r), values)
	if err == nil && scope == "matching" && (q.since > 0 || len(q.ids) > 0) {
		err = jobs.NewProblem(jobs.BadMessage, "Not for all jobs", "To cancel or retry all matching jobs, remove the filters for time and ids.")
	}
	if err == nil && scope == "matching" {
		q.Cursor, q.filter.Before, q.filter.Limit = "", 0, 0
	}
	if err != nil {
		return err
	}
	switch {
	case r.PostForm.Get("ask") != "":
		return s.askBulk(w, r, action, scope, q)
	case scope == "matching":
		return s.startBulk(w, r, action, q)
	}
	done, skipped, err := s.bulkPicked(r, action)
	if err != nil {
		return err
	}
	back := q.Values()
	back.Set("did", action)
	back.Set("done", strconv.FormatInt(done, 10))
	back.Set("skipped", strconv.FormatInt(skipped, 10))
	return seeOther(w, "/jobs?"+back.Encode())
}

// askBulk is the dry run.
func (s tables) askBulk(w http.ResponseWriter, r *http.Request, action, scope string, q tableQuery) error {
	var n, skipped int64
	var err error
	fields := [][2]string{{"do", action + " " + scope}, {"back", q.String()}}
	if scope == "matching" {
		n, err = s.Engine.Count(rest.ClientContext(r.Context()), bulkOf(r, action, q))
		if err != nil && rest.ProblemOf(err).Status == http.StatusUnprocessableEntity { // the action applies to no job in these states
			n, err = 0, nil
		}
	} else {
		var ids []jobs.ID
		for _, text := range r.PostForm["id"] {
			id, err := rest.ParseID(text)
			if err != nil {
				return err
			}
			ids = append(ids, id)
		}
		var page jobs.Page
		if len(ids) > 0 {
			page, err = s.Store.List(r.Context(), jobs.Filter{Tenant: q.filter.Tenant, IDs: ids, Limit: len(ids)})
		}
		for _, job := range page.Jobs {
			if job.State.Final() == (action == "retry") && (action != "retry" || job.RetriedBy == (jobs.ID{})) {
				fields = append(fields, [2]string{"id", job.ID.String()})
				n++
			}
		}
		skipped = int64(len(ids)) - n
	}
	if err != nil {
		return err
	}
	return s.Page(w, r, http.StatusOK, view.ConfirmPage(s.Shell(r, s.Hub.Position()), bulkQuestion(action, scope, n, skipped, fields, q)))
}

func bulkQuestion(action, scope string, n, rest int64, fields [][2]string, q tableQuery) view.Confirm {
	c := view.Confirm{Action: "/jobs/bulk", Fields: fields, Back: "/jobs?" + q.String()}
	verb, whole := map[string]string{"cancel": "Cancel", "retry": "Retry"}[action], "the selected jobs"
	if scope == "matching" {
		whole = "all matching jobs"
	}
	if n == 0 {
		c.Title = "Nothing to " + action
		c.Text = map[string]string{"cancel": "All of these jobs are finished.", "retry": "These jobs are unfinished or have a retry already."}[action]
		if scope == "selected" && rest == 0 {
			c.Text = "Select some jobs first."
		} else if scope == "matching" {
			c.Text = map[string]string{"cancel": "All matching jobs are finished.", "retry": "All matching jobs are unfinished or have a retry already. Without a filter of states, only failed and cancelled jobs are retried."}[action]
		}
		return c
	}
	jobsText := view.Plural(n, "job", "jobs")
	c.Title, c.Button = fmt.Sprintf("%s %s?", verb, jobsText), fmt.Sprintf("%s %s", verb, jobsText)
	if action == "cancel" {
		c.Text = "Of " + whole + ", these are unfinished. Running jobs are told to stop; the others never start. This can't be undone."
	} else {
		c.Text = "Of " + whole + ", these are finished and have no retry yet. Each is submitted again as a new job. The old jobs do not change."
	}
	if rest > 0 {
		c.Text += fmt.Sprintf(" %s left out, because of another state or an earlier retry.", map[bool]string{true: "1 is", false: strconv.FormatInt(rest, 10) + " are"}[rest == 1])
	}
	return c
}

// bulkPicked acts on one job after the other. It stops at an error that does not come from
// the state of the job: a full queue, for example, would refuse the others too.
func (s tables) bulkPicked(r *http.Request, action string) (done, skipped int64, err error) {
	for _, text := range r.PostForm["id"] {
		id, err := rest.ParseID(text)
		if err != nil {
			return done, skipped, err
		}
		ok, err := s.act(r, action, id)
		if err != nil {
			p := rest.ProblemOf(err)
			p.Detail = fmt.Sprintf("Done with %s, then: %s", view.Plural(done, "job", "jobs"), p.Detail)
			return done, skipped, errors.Join(&p, err)
		}
		if ok {
			done++
		} else {
			skipped++
		}
	}
	return done, skipped, nil
}

// bulkOf is an action on all jobs that a query selects.
func bulkOf(r *http.Request, action string, q tableQuery) engine.Bulk {
	return engine.Bulk{Action: engine.Action(action), Filter: q.filter, Caller: rest.Caller(r)}
}

// startBulk submits the job that acts on all matching jobs, and redirects to the page, which
// shows its progress.
func (s tables) startBulk(w http.ResponseWriter, r *http.Request, action string, q tableQuery) error {
	spec, err := bulkOf(r, action, q).Spec()
	if err != nil {
		return err
	}
	accepted, err := s.Engine.Submit(r.Context(), spec)
	if err != nil {
		return err
	}
	values := q.Values()
	values.Set("bulk", accepted.Job.ID.String())
	return seeOther(w, "/jobs?"+values.Encode())
}

// act cancels or retries one job. It returns false if the job's state does not allow that,
// or if the job no longer exists.
func (s tables) act(r *http.Request, action string, id jobs.ID) (bool, error) {
	var err error
	if action == "cancel" {
		var job jobs.Job
		if job, _, err = s.Engine.Cancel(r.Context(), rest.Tenant(r), id); err == nil {
			return job.State == jobs.Cancelled || job.CancelRequested, nil
		}
	} else {
		var accepted engine.Accepted
		if accepted, err = s.Engine.Retry(r.Context(), rest.Tenant(r), id, engine.RetryOptions{Caller: rest.Caller(r)}); err == nil {
			return !accepted.Existing, nil
		}
	}
	if errors.Is(err, jobs.ErrNotFound) || errors.Is(err, jobs.ErrGone) || errors.Is(err, jobs.ErrConflict) {
		return false, nil
	}
	return false, err
}
