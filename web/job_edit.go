package web

import (
	"errors"
	"net/http"

	"jobhub/jobs"
)

// patchJob is PATCH /v1/jobs/{id}: it changes a job that does not run.
func (s *Server) patchJob(w http.ResponseWriter, r *http.Request) {
	id, err := jobID(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if _, _, _, err := jobs.Brief(r.Context(), s.Store, tenant(r), id); err != nil {
		s.fail(w, r, err)
		return
	}
	body, err := readJSON(w, r, jobs.MaxInput)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	edit, err := jobs.DecodeEdit(body)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	job, pos, err := s.Engine.Change(r.Context(), tenant(r), id, edit)
	if errors.Is(err, jobs.ErrQueueFull) {
		s.refuseFull(w, r, tenant(r), *edit.Queue)
		return
	}
	s.answerJob(w, r, job, pos, err)
}

// runJob is POST /v1/jobs/{id}/run: a job that waits for a time joins its queue at once.
func (s *Server) runJob(w http.ResponseWriter, r *http.Request) {
	id, err := jobID(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	job, pos, err := s.Engine.RunNow(r.Context(), tenant(r), id)
	s.answerJob(w, r, job, pos, err)
}

// deleteJob is POST /v1/jobs/{id}/delete: a finished job is forgotten at once.
func (s *Server) deleteJob(w http.ResponseWriter, r *http.Request) {
	id, err := jobID(r)
	if err == nil {
		err = s.Engine.Delete(r.Context(), tenant(r), id)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) answerJob(w http.ResponseWriter, r *http.Request, job jobs.Job, pos jobs.Position, err error) {
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, appendJob(nil, &job, pos))
}
