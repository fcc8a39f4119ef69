package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/rest"
)

// getJob is GET /v1/jobs/{id}.
func (s *Server) getJob(w http.ResponseWriter, r *http.Request) error {
	id, err := rest.JobID(r)
	if err != nil {
		return err
	}
	wait, waiting, err := PreferredWait(r)
	if err != nil {
		return err
	}
	w.Header().Set("Vary", "Prefer")
	job, pos, large, err := jobs.Brief(r.Context(), s.Store, rest.Tenant(r), id)
	if err == nil && waiting {
		version := job.Version
		if text := r.URL.Query().Get("version"); text != "" {
			if version, err = strconv.ParseUint(text, 10, 64); err != nil {
				return jobs.NewProblem(jobs.BadMessage, "Malformed version", "version takes the version of the job that you know, a whole number.")
			}
		}
		w.Header().Set("Preference-Applied", "wait="+strconv.Itoa(int(wait.Seconds())))
		job, pos, large, err = s.await(r.Context(), job.Tenant, id, wait, func(j *jobs.Job) bool { return j.Version > version || j.State.Final() })
	}
	if err != nil {
		return err
	}
	if !job.State.Final() {
		w.Header().Set("Retry-After", "1")
	}
	return s.WriteJob(w, r, &job, pos, large)
}

// await reads a job with jobs.Brief, again after each change, until wanted returns true. It also
// returns the job, as it is, after the time limit, when the hub drains and when the
// credentials of the request become invalid.
func (s *Server) await(ctx context.Context, tenant string, id jobs.ID, limit time.Duration, wanted func(*jobs.Job) bool) (jobs.Job, jobs.Position, bool, error) {
	who, _ := rest.IdentityFromContext(ctx)
	valid, stop := s.WhileValid(context.WithoutCancel(ctx), who)
	defer stop()
	changed := s.Hub.Signal(hub.Causes{Filters: []hub.Filter{{Tenant: tenant, Job: id}}})
	defer changed.Close()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		job, pos, large, err := jobs.Brief(ctx, s.Store, tenant, id)
		if err != nil || wanted(&job) {
			return job, pos, large, err
		}
		select {
		case <-changed.C:
			if valid.Err() != nil {
				return job, pos, large, nil
			}
		case <-valid.Done():
			return job, pos, large, nil
		case <-timer.C:
			return job, pos, large, nil
		case <-s.Draining(ctx):
			return job, pos, large, nil
		case <-ctx.Done():
			return job, pos, large, ctx.Err()
		}
	}
}

// awaitFinal is await for the end of a job.
func (s *Server) awaitFinal(ctx context.Context, tenant string, id jobs.ID, limit time.Duration) (jobs.Job, jobs.Position, bool, error) {
	return s.await(ctx, tenant, id, limit, func(j *jobs.Job) bool { return j.State.Final() })
}

// cancel is POST /v1/jobs/{id}/cancel and DELETE /v1/jobs/{id}.
func (s *Server) cancel(w http.ResponseWriter, r *http.Request) error {
	id, err := rest.JobID(r)
	if err != nil {
		return err
	}
	job, _, err := s.Engine.Cancel(r.Context(), rest.Tenant(r), id)
	if err != nil {
		return err
	}
	return s.WriteCurrentJob(w, r, job.ID)
}

// listJobs is GET /v1/jobs. With q a request searches a limited number of jobs, so that a page
// may have fewer jobs than limit, or none, and still a next_cursor.
func (s *Server) listJobs(w http.ResponseWriter, r *http.Request) error {
	query, err := rest.ReadQuery(r)
	var filter jobs.Filter
	if err == nil {
		filter, err = rest.ParseFilter(query)
	}
	if err != nil {
		return err
	}
	filter.Tenant = rest.Tenant(r)
	page, err := s.Store.List(r.Context(), filter)
	if err != nil {
		return err
	}
	b := []byte(`{"jobs":[`)
	for i := range page.Jobs {
		if i > 0 {
			b = append(b, ',')
		}
		b = rest.AppendJob(b, &page.Jobs[i], page.Pos)
	}
	b = append(b, ']')
	if page.Next > 0 {
		cursor := rest.FormatCursor(page.Next)
		b = append(b, `,"next_cursor":"`+cursor+`"`...)
		query.Set("cursor", cursor)
		w.Header().Set("Link", `</v1/jobs?`+query.Encode()+`>; rel="next"`)
	}
	b = append(b, `,"epoch":"`+page.Pos.Epoch+`","seq":`...)
	b = strconv.AppendUint(b, page.Pos.Seq, 10)
	return rest.WriteJSON(w, http.StatusOK, append(b, '}'))
}
