package api

import (
	"errors"
	"net/http"

	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/web/rest"
)

// retry is POST /v1/jobs/{id}/retry: it submits a finished job again as a new job, or returns
// the retry that the job already has.
func (s *Server) retry(w http.ResponseWriter, r *http.Request) error {
	id, err := rest.JobID(r)
	if err != nil {
		return err
	}
	var in struct {
		Input   jobs.Value `json:"input"`
		Targets []string   `json:"targets"`
		Again   bool       `json:"again"`
	}
	body, err := rest.DecodeBody(w, r, jobs.MaxInput, &in)
	if err != nil {
		return err
	}
	key, err := rest.IdempotencyKey(r, body)
	if err != nil {
		return err
	}
	accepted, err := s.Engine.Retry(r.Context(), rest.Tenant(r), id, engine.RetryOptions{Input: in.Input, Targets: in.Targets, Force: in.Again, Key: key, Caller: rest.Caller(r)})
	if errors.Is(err, jobs.ErrQueueFull) {
		if old, _, err := s.Store.Job(r.Context(), rest.Tenant(r), id); err == nil {
			return s.queueFull(w, old.Tenant, old.Queue)
		}
	}
	if err != nil {
		return err
	}
	setAcceptedHeaders(w.Header(), accepted)
	return s.writeAccepted(w, accepted, s.AcceptedBody)
}
