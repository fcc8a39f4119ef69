package web

import (
	"errors"
	"net/http"

	"jobhub/jobs"
)

// retry is POST /v1/jobs/{id}/retry: a new job like the old one, which stays as it is, or the
// retry that it has already.
func (s *Server) retry(w http.ResponseWriter, r *http.Request) {
	id, err := jobID(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	var in struct {
		Input   jobs.Value `json:"input"`
		Targets []string   `json:"targets"`
		Again   bool       `json:"again"`
	}
	body, err := decodeBody(w, r, jobs.MaxInput, &in)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	key, err := idempotencyKey(r, body)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	accepted, err := s.Engine.Retry(r.Context(), tenant(r), id, jobs.RetryOptions{Input: in.Input, Targets: in.Targets, Force: in.Again, Key: key, Caller: caller(r)})
	if errors.Is(err, jobs.ErrQueueFull) {
		if old, _, err := s.Store.Job(r.Context(), tenant(r), id); err == nil {
			s.refuseFull(w, r, old.Tenant, old.Queue)
			return
		}
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if accepted.Replayed {
		w.Header().Set("Idempotency-Replayed", "true")
	}
	s.writeAccepted(w, accepted, s.acceptedBody)
}
