package rest

import (
	"errors"
	"net/http"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
)

// statusOf is the only map from error codes to HTTP statuses. A problem with a status of
// its own keeps it.
var statusOf = map[jobs.Code]int{
	jobs.BadMessage:     http.StatusBadRequest,
	jobs.NotFound:       http.StatusNotFound,
	jobs.Conflict:       http.StatusConflict,
	jobs.CodeLeaseLost:  http.StatusConflict,
	jobs.BlockedAddress: http.StatusUnprocessableEntity,
	jobs.Unsupported:    http.StatusUnprocessableEntity,
	jobs.TooLarge:       http.StatusRequestEntityTooLarge,
	jobs.QueueFull:      http.StatusServiceUnavailable,
	Unauthorized:        http.StatusUnauthorized,
	Forbidden:           http.StatusForbidden,
	DuplicateID:         http.StatusConflict,
	jobs.LimitExceeded:  http.StatusTooManyRequests,
	RateLimited:         http.StatusTooManyRequests,
}

// Codes that only the web server uses; package jobs has the others.
const (
	Unauthorized jobs.Code = "unauthorized"
	Forbidden    jobs.Code = "forbidden"
	DuplicateID  jobs.Code = "duplicate_id"
	RateLimited  jobs.Code = "rate_limited"
)

// ProblemOf returns the problem document for an error, with its HTTP status. An error that
// is not a *jobs.Problem becomes an internal one: its text is not for the caller.
func ProblemOf(err error) jobs.Problem {
	p, ok := errors.AsType[*jobs.Problem](err)
	if !ok {
		return jobs.Problem{Type: "urn:jobhub:problem:internal", Title: "Internal error", Code: jobs.Internal, Status: http.StatusInternalServerError,
			Detail: "The hub could not do this; its log says why. Whether it was done is unknown."}
	}
	shown := *p
	shown.Detail = strings.ToValidUTF8(shown.Detail, "\ufffd") // pages show it, too
	if shown.Status == 0 {
		shown.Status = http.StatusInternalServerError
		if status, ok := statusOf[p.Code]; ok {
			shown.Status = status
		}
	}
	return shown
}

// Fail answers with an error as application/problem+json (RFC 9457).
func (s *Base) Fail(w http.ResponseWriter, r *http.Request, err error) {
	p := ProblemOf(err)
	if p.Status == http.StatusInternalServerError && ClientContext(r.Context()).Err() == nil { // not if the client has left
		path := r.URL.Path
		if r.PathValue("token") != "" { // the lease token is a secret of its worker
			path = r.Pattern
		}
		s.Logger.Error("request failed", "method", r.Method, "path", path, "error", err)
	}
	switch {
	case w.Header().Get("Retry-After") != "":
	case p.Status == http.StatusServiceUnavailable, p.Code == RateLimited:
		w.Header().Set("Retry-After", "1")
	case p.Status == http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", challenge(err))
	}
	WriteProblem(w, p, r.URL.Path)
}

// WriteProblem writes a problem, whose status must be set, for the resource instance (may be
// empty). Like WriteJSON it always returns nil, so that a handler can end with it.
func WriteProblem(w http.ResponseWriter, p jobs.Problem, instance string) error {
	body := p.AppendMembers([]byte{'{'})
	if instance != "" {
		body = AppendText(append(body, `,"instance":`...), instance)
	}
	return write(w, p.Status, "application/problem+json", append(body, '}'))
}

// WriteJSON answers with a JSON document. It always returns nil.
func WriteJSON(w http.ResponseWriter, status int, body []byte) error {
	return write(w, status, "application/json", body)
}

func write(w http.ResponseWriter, status int, contentType string, body []byte) error {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(append(body, '\n'))
	return nil
}

// AppendJob appends the document of a job as of pos, with its links.
func AppendJob(b []byte, j *jobs.Job, pos jobs.Position) []byte {
	b = j.AppendMembers(append(b, '{'), pos)
	b = append(b, `,"links":`...)
	return append(jobs.AppendLinks(b, j.ID), '}')
}

// AppendText appends text as a JSON string.
func AppendText(b []byte, text string) []byte {
	b, _ = jsontext.AppendQuote(b, text) // its only error is about invalid UTF-8, which it replaces
	return b
}
