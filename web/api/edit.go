package api

import (
	"errors"
	"net/http"

	"jobhub/jobs"
	"jobhub/web/rest"
)

// patchJob is PATCH /v1/jobs/{id}: it changes a job that is not running.
func (s *Server) patchJob(w http.ResponseWriter, r *http.Request) error {
	id, err := rest.JobID(r)
	if err != nil {
		return err
	}
	if _, _, _, err := jobs.Brief(r.Context(), s.Store, rest.Tenant(r), id); err != nil {
		return err
	}
	body, err := rest.ReadJSON(w, r, jobs.MaxInput)
	if err != nil {
		return err
	}
	edit, err := jobs.DecodeEdit(body)
	if err != nil {
		return err
	}
	job, pos, err := s.Engine.Change(r.Context(), rest.Tenant(r), id, edit)
	if errors.Is(err, jobs.ErrQueueFull) {
		return s.queueFull(w, rest.Tenant(r), *edit.Queue)
	}
	return s.answerJob(w, r, job, pos, err)
}

// runJob is POST /v1/jobs/{id}/run: a scheduled job joins its queue at once.
func (s *Server) runJob(w http.ResponseWriter, r *http.Request) error {
	id, err := rest.JobID(r)
	if err != nil {
		return err
	}
	job, pos, err := s.Engine.RunNow(r.Context(), rest.Tenant(r), id)
	return s.answerJob(w, r, job, pos, err)
}

// deleteJob is POST /v1/jobs/{id}/delete: it deletes a finished job.
func (s *Server) deleteJob(w http.ResponseWriter, r *http.Request) error {
	id, err := rest.JobID(r)
	if err == nil {
		err = s.Engine.Delete(r.Context(), rest.Tenant(r), id)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Server) answerJob(w http.ResponseWriter, r *http.Request, job jobs.Job, pos jobs.Position, err error) error {
	if err != nil {
		return err
	}
	return rest.WriteJSON(w, http.StatusOK, rest.AppendJob(nil, &job, pos))
}
