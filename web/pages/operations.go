package pages

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/web/api"
	"jobhub/web/rest"
	"jobhub/web/view"
)

func (s queuePages) queuesPage(w http.ResponseWriter, r *http.Request) error {
	after := r.URL.Query().Get("after")
	if len(after) > rest.MaxQueueName {
		return rest.BadParameter("after", "takes the name of a queue")
	}
	model, pos, err := s.queuesModel(r.Context(), rest.Tenant(r), after)
	if err != nil {
		return err
	}
	return s.Page(w, r, http.StatusOK, view.QueuesPage(s.Shell(r, pos), model))
}

func (s queuePages) queuePage(w http.ResponseWriter, r *http.Request) error {
	return s.showQueue(w, r, http.StatusOK, nil)
}

// showQueue shows a queue, with a form that was refused or with the limits in force.
func (s queuePages) showQueue(w http.ResponseWriter, r *http.Request, status int, form *view.QueueForm) error {
	model, pos, err := s.queueModel(r.Context(), rest.Tenant(r), r.PathValue("name"))
	if err != nil {
		return err
	}
	if form == nil {
		form = &view.QueueForm{Values: formOf(model.Queue.Settings)}
	}
	return s.Page(w, r, status, view.QueuePage(s.Shell(r, pos), model, *form))
}

// formOf returns limits as a person writes them.
func formOf(set jobs.QueueSettings) map[string]string {
	l, out := api.NewQueueLimits(set), map[string]string{}
	for name, n := range map[string]*int{"concurrency": l.Concurrency, "capacity": l.Capacity, "per_key": l.PerKey} {
		if n != nil {
			out[name] = strconv.Itoa(*n)
		}
	}
	for name, text := range map[string]*string{"rate": l.Rate, "queue_timeout": l.QueueTimeout} {
		if text != nil {
			out[name] = *text
		}
	}
	return out
}

// limitsForm is the form of a queue's page, a PATCH that works without scripts. It checks
// each member by itself, so that all errors are shown at once.
func (s queuePages) limitsForm(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(w, r, rest.MaxForm); err != nil {
		return err
	}
	form := view.QueueForm{Values: map[string]string{}, Errors: map[string]string{}}
	var in api.LimitsPatch
	for name, to := range map[string]*jobs.Value{"concurrency": &in.Concurrency, "capacity": &in.Capacity, "per_key": &in.PerKey, "rate": &in.Rate, "queue_timeout": &in.QueueTimeout} {
		if !r.PostForm.Has(name) {
			continue
		}
		text := strings.TrimSpace(r.PostForm.Get(name))
		form.Values[name] = text
		switch {
		case text == "":
			*to = jobs.Value("null")
		case name == "rate" || name == "queue_timeout":
			quoted, err := json.Marshal(strings.ToValidUTF8(text, "�"))
			if err != nil {
				return err
			}
			*to = quoted
		default:
			*to = jobs.Value(text)
		}
	}
	for name, message := range in.FieldErrors() {
		form.Errors[name] = message
	}
	if len(form.Errors) > 0 {
		return s.showQueue(w, r, http.StatusUnprocessableEntity, &form)
	}
	return s.configureForm(w, r, func(name string) error { return s.Engine.Queues.Configure(r.Context(), rest.Tenant(r), name, in.Apply) })
}

func (s queuePages) pauseForm(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(w, r, rest.MaxForm); err != nil {
		return err
	}
	reason := strings.ToValidUTF8(strings.TrimSpace(r.PostForm.Get("reason")), "�")
	return s.configureForm(w, r, func(name string) error {
		return s.Engine.Queues.Pause(r.Context(), rest.Tenant(r), name, rest.IdentityOf(r).Name, reason)
	})
}

func (s queuePages) resumeForm(w http.ResponseWriter, r *http.Request) error {
	return s.configureForm(w, r, func(name string) error { return s.Engine.Queues.Resume(r.Context(), rest.Tenant(r), name) })
}

// configureForm changes a queue that exists; a form never creates one.
func (s queuePages) configureForm(w http.ResponseWriter, r *http.Request, change func(name string) error) error {
	name := r.PathValue("name")
	if _, _, err := s.API.FindQueue(r.Context(), rest.Tenant(r), name); err != nil {
		return err
	}
	if err := change(name); err != nil {
		return err
	}
	return seeOther(w, "/queues/"+name)
}

func (s queuePages) workersPage(w http.ResponseWriter, r *http.Request) error {
	return s.Page(w, r, http.StatusOK, view.WorkersPage(s.Shell(r, s.Hub.Position()), s.workersModel(rest.Tenant(r))))
}

// directForm serves a button of the page of workers.
func (s queuePages) directForm(d engine.Directive) rest.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		id := r.PathValue("id")
		err := readForm(w, r, rest.MaxForm)
		if err == nil && r.PostForm.Get("ask") != "" {
			return s.Page(w, r, http.StatusOK, view.ConfirmPage(s.Shell(r, s.Hub.Position()), view.Confirm{Title: "Terminate this worker?", Button: "Terminate the worker",
				Text: "It releases its jobs, so that other workers run them, and exits. To let it finish them, use Quiet.", Action: "/workers/" + id + "/terminate", Back: "/workers"}))
		}
		if err == nil {
			err = s.Engine.Workers.SetDirective(rest.Tenant(r), id, d)
		}
		if err != nil {
			return err
		}
		return seeOther(w, "/workers")
	}
}

func (s queuePages) hubPage(w http.ResponseWriter, r *http.Request) error {
	return s.Page(w, r, http.StatusOK, view.HubPage(s.Shell(r, s.Hub.Position()), s.hubModel()))
}
