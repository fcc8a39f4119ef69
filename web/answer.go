package web

import (
	"errors"
	"net/http"
	"strings"

	"jobhub/jobs"
)

// statusOf is the one map from an error's code to its HTTP status. A problem that has
// a status of its own keeps it.
var statusOf = map[jobs.Code]int{
	jobs.BadMessage:     http.StatusBadRequest,
	jobs.NotFound:       http.StatusNotFound,
	jobs.Conflict:       http.StatusConflict,
	jobs.CodeLeaseLost:  http.StatusConflict,
	jobs.BlockedAddress: http.StatusUnprocessableEntity,
	jobs.Unsupported:    http.StatusUnprocessableEntity,
	jobs.TooLarge:       http.StatusRequestEntityTooLarge,
	jobs.QueueFull:      http.StatusServiceUnavailable,
	unauthorized:        http.StatusUnauthorized,
	forbidden:           http.StatusForbidden,
	duplicateID:         http.StatusConflict,
	jobs.LimitExceeded:  http.StatusTooManyRequests,
	rateLimited:         http.StatusTooManyRequests,
}

// Codes that the engine does not use.
const (
	unauthorized jobs.Code = "unauthorized"
	forbidden    jobs.Code = "forbidden"
	duplicateID  jobs.Code = "duplicate_id"
	rateLimited  jobs.Code = "rate_limited"
)

// problemOf is an error as the caller may see it, with its status.
func problemOf(err error) jobs.Problem {
	p, ok := errors.AsType[*jobs.Problem](err)
	if !ok {
		return jobs.Problem{Type: "urn:jobhub:problem:internal", Title: "Internal error", Code: jobs.Internal, Status: http.StatusInternalServerError,
			Detail: "The hub could not do this; its log says why. Whether it was done is unknown."}
	}
	shown := *p
	shown.Detail = strings.ToValidUTF8(shown.Detail, "\ufffd") // it stands on pages, too
	if shown.Status == 0 {
		shown.Status = http.StatusInternalServerError
		if status, ok := statusOf[p.Code]; ok {
			shown.Status = status
		}
	}
	return shown
}

// fail answers with an error as application/problem+json (RFC 9457).
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if p.Status == http.StatusInternalServerError && clientOf(r.Context()).Err() == nil { // nobody is told who has gone
		path := r.URL.Path
		if r.PathValue("token") != "" { // a lease is its worker's secret
			path = r.Pattern
		}
		s.Logger.Error("request failed", "method", r.Method, "path", path, "error", err)
	}
	switch {
	case p.Status == http.StatusServiceUnavailable, p.Code == rateLimited:
		w.Header().Set("Retry-After", "1")
	case p.Status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", challenge(err))
	}
	writeProblem(w, p, r.URL.Path)
}

// writeProblem writes a problem that has a status.
func writeProblem(w http.ResponseWriter, p jobs.Problem, instance string) {
	body := p.AppendMembers([]byte{'{'})
	if instance != "" {
		body = appendText(append(body, `,"instance":`...), instance)
	}
	write(w, p.Status, "application/problem+json", append(body, '}'))
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	write(w, status, "application/json", body)
}

func write(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
}

// appendJob appends the job document with its links.
func appendJob(b []byte, j *jobs.Job, pos jobs.Position) []byte {
	b = j.AppendMembers(append(b, '{'), pos)
	b = append(b, `,"links":`...)
	return append(jobs.AppendLinks(b, j.ID), '}')
}
