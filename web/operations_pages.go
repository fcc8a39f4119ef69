package web

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"

	"jobhub/jobs"
	"jobhub/web/view"
)

func (s *Server) queuesPage(w http.ResponseWriter, r *http.Request) {
	after := r.URL.Query().Get("after")
	if len(after) > maxQueueName {
		s.failPage(w, r, badParameter("after", "takes the name of a queue"))
		return
	}
	model, pos, err := s.queuesModel(r.Context(), tenant(r), after)
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	s.page(w, r, http.StatusOK, view.QueuesPage(s.shell(r, pos), model))
}

func (s *Server) queuePage(w http.ResponseWriter, r *http.Request) {
	s.showQueue(w, r, http.StatusOK, nil)
}

// showQueue shows a queue, with a form that was refused or with the limits in force.
func (s *Server) showQueue(w http.ResponseWriter, r *http.Request, status int, form *view.QueueForm) {
	model, pos, err := s.queueModel(r.Context(), tenant(r), r.PathValue("name"))
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	if form == nil {
		form = &view.QueueForm{Values: formOf(model.Queue.Settings)}
	}
	s.page(w, r, status, view.QueuePage(s.shell(r, pos), model, *form))
}

// formOf are limits as a person writes them.
func formOf(set jobs.QueueSettings) map[string]string {
	l, out := limitsOf(set), map[string]string{}
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

// limitsForm is the form of a queue's page: PATCH for those without scripts. One member
// after the other is looked at, so that all that is wrong is said at once.
func (s *Server) limitsForm(w http.ResponseWriter, r *http.Request) {
	if err := readForm(w, r, maxForm); err != nil {
		s.failPage(w, r, err)
		return
	}
	form := view.QueueForm{Values: map[string]string{}, Errors: map[string]string{}}
	var in limitsPatch
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
				s.failPage(w, r, err)
				return
			}
			*to = quoted
		default:
			*to = jobs.Value(text)
		}
	}
	for name, message := range in.faults() {
		form.Errors[name] = message
	}
	if len(form.Errors) > 0 {
		s.showQueue(w, r, http.StatusUnprocessableEntity, &form)
		return
	}
	s.configureForm(w, r, func(name string) error { return s.Engine.Configure(r.Context(), tenant(r), name, in.apply) })
}

func (s *Server) pauseForm(w http.ResponseWriter, r *http.Request) {
	if err := readForm(w, r, maxForm); err != nil {
		s.failPage(w, r, err)
		return
	}
	reason := strings.ToValidUTF8(strings.TrimSpace(r.PostForm.Get("reason")), "�")
	s.configureForm(w, r, func(name string) error { return s.Engine.Pause(r.Context(), tenant(r), name, identity(r).Name, reason) })
}

func (s *Server) resumeForm(w http.ResponseWriter, r *http.Request) {
	s.configureForm(w, r, func(name string) error { return s.Engine.Resume(r.Context(), tenant(r), name) })
}

// configureForm changes a queue that exists: a page is of one, so nothing is created here.
func (s *Server) configureForm(w http.ResponseWriter, r *http.Request, change func(name string) error) {
	name := r.PathValue("name")
	if _, _, err := s.queueNamed(r.Context(), tenant(r), name); err != nil {
		s.failPage(w, r, err)
		return
	}
	if err := change(name); err != nil {
		s.failPage(w, r, err)
		return
	}
	seeOther(w, "/queues/"+name)
}

func (s *Server) workersPage(w http.ResponseWriter, r *http.Request) {
	s.page(w, r, http.StatusOK, view.WorkersPage(s.shell(r, s.Hub.Position()), s.workersModel(tenant(r))))
}

// directForm is a button of the page of workers.
func (s *Server) directForm(d jobs.Directive) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		err := readForm(w, r, maxForm)
		if err == nil && r.PostForm.Get("ask") != "" {
			s.page(w, r, http.StatusOK, view.ConfirmPage(s.shell(r, s.Hub.Position()), view.Confirm{Title: "Terminate this worker?", Button: "Terminate the worker",
				Text: "It releases its jobs, so that other workers run them, and exits. To let it finish them, use Quiet.", Action: "/workers/" + id + "/terminate", Back: "/workers"}))
			return
		}
		if err == nil {
			err = s.Engine.Direct(tenant(r), id, d)
		}
		if err != nil {
			s.failPage(w, r, err)
			return
		}
		seeOther(w, "/workers")
	}
}

func (s *Server) hubPage(w http.ResponseWriter, r *http.Request) {
	model, err := s.hubModel()
	if err != nil {
		s.failPage(w, r, err)
		return
	}
	s.page(w, r, http.StatusOK, view.HubPage(s.shell(r, s.Hub.Position()), model))
}
