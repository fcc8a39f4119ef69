package api

import (
	"cmp"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
	"jobhub/jobs/schedule"
	"jobhub/web/rest"
)

// listSchedules is GET /v1/schedules.
func (s *Server) listSchedules(w http.ResponseWriter, r *http.Request) error {
	list, err := s.Engine.Schedules.List(r.Context(), rest.Tenant(r))
	if err != nil {
		return err
	}
	b := []byte(`{"schedules":[`)
	for i := range list {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = appendSchedule(b, &list[i]); err != nil {
			return err
		}
	}
	return rest.WriteJSON(w, http.StatusOK, append(b, ']', '}'))
}

// getSchedule is GET /v1/schedules/{name}.
func (s *Server) getSchedule(w http.ResponseWriter, r *http.Request) error {
	schedule, err := s.Engine.Schedules.Get(r.Context(), rest.Tenant(r), r.PathValue("name"))
	if err != nil {
		return err
	}
	return s.writeSchedule(w, r, http.StatusOK, &schedule)
}

// putSchedule is PUT /v1/schedules/{name}: it answers 201 for a new schedule, else 200. It takes
// what GET gives: members that only the hub sets are ignored.
func (s *Server) putSchedule(w http.ResponseWriter, r *http.Request) error {
	var in struct {
		Cron     string     `json:"cron"`
		TimeZone string     `json:"time_zone"`
		Job      jobs.Value `json:"job"`
		Paused   bool       `json:"paused"`
		Overlap  string     `json:"overlap"`

		Name      *string    `json:"name"`
		NextAt    jobs.Value `json:"next_at"`
		LastAt    jobs.Value `json:"last_at"`
		LastJob   jobs.Value `json:"last_job"`
		LastError jobs.Value `json:"last_error"`
		SkippedAt jobs.Value `json:"skipped_at"`
		Links     jobs.Value `json:"links"`
	}
	if _, err := rest.DecodeBody(w, r, jobs.MaxInput, &in); err != nil {
		return err
	}
	if name := r.PathValue("name"); in.Name != nil && *in.Name != name {
		return jobs.Invalid("/name", "must be %s, as in the path; a schedule can't be renamed", name)
	}
	schedule, created, err := s.Engine.Schedules.Put(r.Context(), rest.Tenant(r), schedule.Schedule{Name: r.PathValue("name"), Cron: in.Cron, TimeZone: in.TimeZone,
		Job: in.Job, Paused: in.Paused, Overlap: in.Overlap, Caller: rest.Caller(r)})
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
		w.Header().Set("Location", "/v1/schedules/"+schedule.Name)
	}
	return s.writeSchedule(w, r, status, &schedule)
}

// deleteSchedule is DELETE /v1/schedules/{name}.
func (s *Server) deleteSchedule(w http.ResponseWriter, r *http.Request) error {
	if err := s.Engine.Schedules.Delete(r.Context(), rest.Tenant(r), r.PathValue("name")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) writeSchedule(w http.ResponseWriter, r *http.Request, status int, schedule *schedule.Schedule) error {
	body, err := appendSchedule(nil, schedule)
	if err != nil {
		return err
	}
	return rest.WriteJSON(w, status, body)
}

func appendSchedule(b []byte, s *schedule.Schedule) ([]byte, error) {
	at := func(t time.Time) *string {
		if t.IsZero() {
			return nil
		}
		text := t.UTC().Format(jobs.TimeFormat)
		return &text
	}
	doc := struct {
		Name      string            `json:"name"`
		Cron      string            `json:"cron"`
		TimeZone  string            `json:"time_zone"`
		Job       jobs.Value        `json:"job"`
		Paused    bool              `json:"paused"`
		Overlap   string            `json:"overlap"`
		NextAt    *string           `json:"next_at"`
		LastAt    *string           `json:"last_at"`
		LastJob   string            `json:"last_job"`
		LastError *jobs.Problem     `json:"last_error"`
		SkippedAt *string           `json:"skipped_at"`
		Links     map[string]string `json:"links"`
	}{s.Name, s.Cron, s.TimeZone, s.Shown(), s.Paused, cmp.Or(s.Overlap, schedule.Overlaps[0]), at(s.NextAt), at(s.LastAt), "", s.LastError, at(s.SkippedAt),
		map[string]string{"self": "/v1/schedules/" + s.Name, "jobs": "/v1/jobs?tag=schedule:" + s.Name}}
	if s.LastJob != (jobs.ID{}) {
		doc.LastJob = s.LastJob.String()
		doc.Links["last_job"] = "/v1/jobs/" + doc.LastJob
	}
	text, err := json.Marshal(doc, json.Deterministic(true), jsontext.AllowInvalidUTF8(true))
	return append(b, text...), err
}
