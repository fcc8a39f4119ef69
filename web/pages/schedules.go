package pages

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/jobs/schedule"
	"jobhub/web/rest"
	"jobhub/web/view"
)

const (
	schedulesShown = 50 // on a page
	ticksShown     = 5
)

func (s schedulePages) schedulesPage(w http.ResponseWriter, r *http.Request) error {
	return s.showSchedules(w, r, http.StatusOK, view.Form{})
}

func (s schedulePages) showSchedules(w http.ResponseWriter, r *http.Request, status int, form view.Form) error {
	after := r.URL.Query().Get("after")
	if after != "" && !jobs.WellFormedName(after) {
		return rest.BadParameter("after", "takes the name of a schedule")
	}
	model, err := s.schedulesModel(r.Context(), rest.Tenant(r), after)
	if err != nil {
		return err
	}
	return s.Page(w, r, status, view.SchedulesPage(s.Shell(r, s.Hub.Position()), model, form))
}

func (s schedulePages) schedulePage(w http.ResponseWriter, r *http.Request) error {
	return s.showSchedule(w, r, http.StatusOK, nil)
}

// showSchedule shows a schedule, with a form that was refused or with its times.
func (s schedulePages) showSchedule(w http.ResponseWriter, r *http.Request, status int, form *view.Form) error {
	model, err := s.scheduleModel(r.Context(), rest.Tenant(r), r.PathValue("name"))
	if err != nil {
		return err
	}
	if form == nil {
		form = &view.Form{Values: map[string]string{"cron": model.It.Cron, "time_zone": model.It.TimeZone, "overlap": cmp.Or(model.It.Overlap, schedule.Overlaps[0])}}
	}
	return s.Page(w, r, status, view.SchedulePage(s.Shell(r, s.Hub.Position()), model, *form))
}

func findSchedules(_ context.Context, _, after string) error {
	if after != "" && !jobs.WellFormedName(after) {
		return noView("schedules:" + after)
	}
	return nil
}

func (s schedulePages) findSchedule(ctx context.Context, tenant, name string) error {
	_, err := s.Engine.Schedules.Get(ctx, tenant, name)
	return err
}

func (s schedulePages) drawSchedules(ctx context.Context, tenant, after string, _ any) (hub.Rendered, error) {
	model, err := s.schedulesModel(ctx, tenant, after)
	if err != nil {
		return hub.Rendered{}, err
	}
	causes := hub.Causes{Notices: []jobs.Notice{{Tenant: tenant, Subject: jobs.SchedulesChanged}}}
	for i := range model.List { // their runs
		causes.Filters = append(causes.Filters, hub.Filter{Tenant: tenant, Tag: schedule.Tag(model.List[i].Name)})
	}
	return rendered(ctx, causes, onEvents, view.SchedulesFragments(model))
}

func (s schedulePages) drawSchedule(ctx context.Context, tenant, name string, _ any) (hub.Rendered, error) {
	model, err := s.scheduleModel(ctx, tenant, name)
	if err != nil {
		return hub.Rendered{}, err
	}
	causes := hub.Causes{Filters: []hub.Filter{{Tenant: tenant, Tag: schedule.Tag(name)}}, Notices: []jobs.Notice{{Tenant: tenant, Subject: jobs.SchedulesChanged}}}
	pace := onEvents
	if len(model.Ticks) > 0 { // the next one of a paused schedule passes without an event
		pace.Max = max(time.Until(model.Ticks[0]), time.Second)
	}
	return rendered(ctx, causes, pace, view.ScheduleFragments(model))
}

func (s schedulePages) schedulesModel(ctx context.Context, tenant, after string) (view.SchedulesModel, error) {
	m := view.SchedulesModel{Origin: s.Origin, After: after}
	all, err := s.Engine.Schedules.List(ctx, tenant)
	if err != nil {
		return m, err
	}
	m.All = len(all)
	slices.SortFunc(all, func(a, b schedule.Schedule) int { return strings.Compare(a.Name, b.Name) })
	all = slices.DeleteFunc(all, func(one schedule.Schedule) bool { return one.Name <= after })
	if len(all) > schedulesShown {
		all = all[:schedulesShown]
		m.Next = all[schedulesShown-1].Name
	}
	for _, one := range all {
		it, err := s.scheduleOf(ctx, tenant, one)
		if err != nil {
			return m, err
		}
		m.List = append(m.List, it)
	}
	return m, nil
}

func (s schedulePages) scheduleModel(ctx context.Context, tenant, name string) (view.ScheduleModel, error) {
	m := view.ScheduleModel{At: time.Now()}
	one, err := s.Engine.Schedules.Get(ctx, tenant, name)
	if err != nil {
		return m, err
	}
	m.Ticks = one.Ticks(m.At, ticksShown)
	m.It, err = s.scheduleOf(ctx, tenant, one)
	return m, err
}

// scheduleOf is a schedule with its newest runs.
func (s schedulePages) scheduleOf(ctx context.Context, tenant string, one schedule.Schedule) (view.Schedule, error) {
	it := view.Schedule{Schedule: one}
	spec, err := jobs.DecodeSpec(one.Job)
	if err != nil {
		return it, err
	}
	it.Kind, it.Queue, it.OrderingKey = spec.Kind, spec.Queue, spec.OrderingKey
	page, err := s.Store.List(ctx, jobs.Filter{Tenant: tenant, Tag: schedule.Tag(one.Name), Limit: view.MaxRuns})
	it.Runs = page.Jobs
	return it, err
}

// makeScheduleForm is POST /schedules: it creates a schedule, and works without scripts.
func (s schedulePages) makeScheduleForm(w http.ResponseWriter, r *http.Request) error {
	form, err := readFields(w, r, "name", "cron", "time_zone", "overlap", "kind", "queue", "input", "more", "paused")
	if err != nil {
		return err
	}
	one := schedule.Schedule{Name: form.Values["name"], Cron: form.Values["cron"], TimeZone: form.Values["time_zone"], Overlap: form.Values["overlap"], Job: jobOf(form), Paused: form.Values["paused"] != "", Caller: rest.Caller(r)}
	if !jobs.WellFormedName(one.Name) {
		form.Errors["name"] = "must be " + jobs.NameRule
	}
	if len(form.Errors) > 0 { // show all errors at once
		err = s.Engine.Schedules.Check(rest.Tenant(r), &one)
	} else {
		one, err = s.Engine.Schedules.Create(r.Context(), rest.Tenant(r), one)
	}
	if err != nil && !addErrors(form, err) {
		return err
	}
	if err != nil || len(form.Errors) > 0 {
		return s.showSchedules(w, r, refusedWith(err), *form)
	}
	return seeOther(w, "/schedules/"+one.Name)
}

// changeScheduleForm is POST /schedules/{name}: it changes when a schedule runs.
func (s schedulePages) changeScheduleForm(w http.ResponseWriter, r *http.Request) error {
	form, err := readFields(w, r, "cron", "time_zone", "overlap")
	if err != nil {
		return err
	}
	return s.changeSchedule(w, r, form, func(one *schedule.Schedule) {
		one.Cron, one.TimeZone = form.Values["cron"], form.Values["time_zone"]
		if r.PostForm.Has("overlap") {
			one.Overlap = form.Values["overlap"]
		}
		if s.Auth != nil && s.Auth.CheckCaller(rest.Tenant(r), one.Caller) != nil { // the key of its owner is no longer valid: it becomes the caller's
			one.Caller = rest.Caller(r)
		}
	})
}

func (s schedulePages) pauseSchedule(paused bool) rest.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		return s.changeSchedule(w, r, nil, func(one *schedule.Schedule) { one.Paused = paused })
	}
}

// changeSchedule changes a schedule; errors are shown in the form, if there is one.
func (s schedulePages) changeSchedule(w http.ResponseWriter, r *http.Request, form *view.Form, edit func(*schedule.Schedule)) error {
	name := r.PathValue("name")
	_, err := s.Engine.Schedules.Change(r.Context(), rest.Tenant(r), name, edit)
	switch {
	case err == nil:
		return seeOther(w, "/schedules/"+name)
	case form != nil && addErrors(form, err):
		return s.showSchedule(w, r, refusedWith(err), form)
	}
	return err
}

// runScheduleForm is POST /schedules/{name}/run.
func (s schedulePages) runScheduleForm(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	if _, err := s.Engine.Schedules.Run(r.Context(), rest.Tenant(r), name); err != nil {
		return err
	}
	return seeOther(w, "/schedules/"+name)
}

// deleteScheduleForm is POST /schedules/{name}/delete. With ask in the form, it answers with
// a page that asks for confirmation.
func (s schedulePages) deleteScheduleForm(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("name")
	err := readForm(w, r, rest.MaxForm)
	if err == nil && r.PostForm.Get("ask") != "" {
		if _, err = s.Engine.Schedules.Get(r.Context(), rest.Tenant(r), name); err == nil {
			return s.Page(w, r, http.StatusOK, view.ConfirmPage(s.Shell(r, s.Hub.Position()), view.Confirm{Title: "Delete the schedule " + name + "?",
				Text: "It submits no more jobs. Jobs that it has submitted stay. This can't be undone.", Action: "/schedules/" + name + "/delete",
				Button: "Delete the schedule", Back: "/schedules/" + name}))
		}
	}
	if err == nil {
		err = s.Engine.Schedules.Delete(r.Context(), rest.Tenant(r), name)
	}
	if err != nil {
		return err
	}
	return seeOther(w, "/schedules")
}

// readFields reads the fields of a form as they were written.
func readFields(w http.ResponseWriter, r *http.Request, fields ...string) (*view.Form, error) {
	if err := readForm(w, r, rest.MaxScheduleForm); err != nil {
		return nil, err
	}
	form := &view.Form{Values: map[string]string{}, Errors: map[string]string{}}
	for _, name := range fields {
		form.Values[name] = strings.TrimSpace(strings.ToValidUTF8(r.PostForm.Get(name), "�"))
	}
	return form, nil
}

// jobOf is the submission that the fields of a form describe. Fields that can't be read are
// left out, and their errors are added to the form.
func jobOf(form *view.Form) jobs.Value {
	members := map[string]jobs.Value{}
	if more := form.Values["more"]; more != "" {
		if err := jobs.Decode([]byte(more), &members); err != nil {
			form.Errors["more"] = faultOf(err)
		}
		if members == nil { // null
			form.Errors["more"], members = "must be an object", map[string]jobs.Value{}
		}
		for _, name := range []string{"kind", "queue", "input"} {
			if _, twice := members[name]; twice {
				form.Errors["more"] = "has the member " + name + ", which has a field of its own"
			}
		}
	}
	if input := form.Values["input"]; input != "" {
		v, err := editedInput(input)
		if err != nil {
			form.Errors["input"] = faultOf(err)
		} else {
			members["input"] = v
		}
	}
	for _, name := range []string{"kind", "queue"} {
		if text := form.Values[name]; text != "" {
			members[name] = rest.AppendText(nil, text)
		}
	}
	job, err := json.Marshal(members, json.Deterministic(true))
	if err != nil {
		form.Errors["more"] = faultOf(err)
		return nil
	}
	return job
}

// faultOf says in one line what is wrong with a JSON text.
func faultOf(err error) string {
	p, ok := err.(*jobs.Problem)
	if !ok {
		p = jobs.DecodeProblem(err)
	}
	if len(p.Errors) > 0 {
		return p.Errors[0].Detail
	}
	return cmp.Or(p.Detail, p.Title)
}

// addErrors adds to a form what is wrong with a schedule: beside the field, or above all
// fields. It returns false if the error is not about the fields.
func addErrors(form *view.Form, err error) bool {
	p := rest.ProblemOf(err)
	if p.Status >= 500 && p.Code == jobs.Internal || p.Code == jobs.NotFound {
		return false
	}
	if p.Code == jobs.Conflict && len(p.Errors) == 0 {
		form.Errors["name"] = p.Detail
		return true
	}
	if len(p.Errors) == 0 {
		form.Wrong = p.Title + ": " + p.Detail
	}
	for _, e := range p.Errors {
		path := strings.Split(strings.TrimPrefix(e.Pointer, "/"), "/")
		field, detail := path[0], e.Detail
		if field == "job" {
			field = "more"
			if len(path) > 1 {
				if _, own := form.Values[path[1]]; own {
					field = path[1]
				} else {
					detail = strings.TrimPrefix(e.Pointer, "/job/") + ": " + detail
				}
			}
		}
		if _, there := form.Values[field]; !there {
			form.Wrong = strings.TrimPrefix(e.Pointer, "/") + ": " + e.Detail
		} else if form.Errors[field] == "" {
			form.Errors[field] = detail
		}
	}
	return true
}

// refusedWith is the status of a form that was refused.
func refusedWith(err error) int {
	if err == nil {
		return http.StatusUnprocessableEntity
	}
	return rest.ProblemOf(err).Status
}
