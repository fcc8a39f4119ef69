package pages

import (
	"context"
	"errors"
	"net/http"

	"jobhub/jobs"
	"jobhub/web/rest"
	"jobhub/web/view"
)

const pieceOfLog = 1 << 20 // bytes of a job's events that are read at a time

func (s jobPages) jobPage(w http.ResponseWriter, r *http.Request) error {
	id, err := rest.JobID(r)
	if err != nil {
		return s.Page(w, r, http.StatusNotFound, view.MissingPage(s.Shell(r, s.Hub.Position()), r.PathValue("id"), false))
	}
	upto, err := lineNumber(r.URL.Query().Get("lines"))
	var model view.JobModel
	var pos jobs.Position
	if err == nil {
		model, pos, err = s.jobModel(r.Context(), rest.Tenant(r), id, &jobMemory{way: view.Way{Upto: upto}})
		model.Upto = upto
	}
	if errors.Is(err, jobs.ErrNotFound) || errors.Is(err, jobs.ErrGone) {
		return s.Page(w, r, rest.ProblemOf(err).Status, view.MissingPage(s.Shell(r, s.Hub.Position()), id.String(), errors.Is(err, jobs.ErrGone)))
	}
	if err != nil {
		return err
	}
	return s.Page(w, r, http.StatusOK, view.JobPage(s.Shell(r, pos), model))
}

// eachPiece calls take with the events that the log still has of a job, piece by piece. cut
// reports that older events are no longer kept.
func (s jobPages) eachPiece(ctx context.Context, job jobs.ID, take func([]*jobs.Event) error) (cut bool, err error) {
	q := jobs.ReadQuery{Job: job, MaxBytes: pieceOfLog, Walk: new(jobs.Walk)}
	for {
		events, err := s.Store.Read(ctx, q)
		if err != nil || len(events) == 0 {
			return q.Walk.Trimmed, err
		}
		if err := take(events); err != nil {
			return q.Walk.Trimmed, err
		}
		q.After = events[len(events)-1].Seq
	}
}
