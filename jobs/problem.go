package jobs

import (
	"errors"
	"fmt"
)

// Code is a machine-readable word for what went wrong, the same over HTTP,
// WebSocket and in a job's error.
type Code string

const (
	BadMessage     Code = "bad_message"
	NotFound       Code = "not_found"
	Conflict       Code = "conflict"
	LeaseLost      Code = "lease_lost"
	BlockedAddress Code = "blocked_address"
	Unsupported    Code = "unsupported"
	TooLarge       Code = "too_large"
	QueueFull      Code = "queue_full"
	LimitExceeded  Code = "limit_exceeded"
	Internal       Code = "internal"
)

// Problem is an error as RFC 9457 describes it. It is what callers get and what
// a failed job keeps.
type Problem struct {
	Type   string        `json:"type,omitzero"`
	Title  string        `json:"title"`
	Status int           `json:"status,omitzero"`
	Detail string        `json:"detail,omitzero"`
	Code   Code          `json:"code"`
	Errors []MemberError `json:"errors,omitzero"`
}

// MemberError says what is wrong with one member of a document; Pointer is a
// JSON pointer (RFC 6901).
type MemberError struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

func (p *Problem) Error() string {
	s := p.Title
	if p.Detail != "" {
		s += ": " + p.Detail
	}
	for _, e := range p.Errors {
		s += fmt.Sprintf(" (%s: %s)", e.Pointer, e.Detail)
	}
	return s
}

// Is makes errors.Is compare problems by their code and status.
func (p *Problem) Is(target error) bool {
	t, ok := target.(*Problem)
	return ok && t.Code == p.Code && t.Status == p.Status
}

func newProblem(code Code, title, format string, args ...any) *Problem {
	return &Problem{Type: "urn:jobhub:problem:" + string(code), Code: code, Title: title, Detail: fmt.Sprintf(format, args...)}
}

func typedProblem(kind string, code Code, title, detail string) *Problem {
	return &Problem{Type: kind, Code: code, Title: title, Detail: detail}
}

// Unavailable is the problem of what can't be done now and was not done.
func Unavailable(title, detail string) *Problem {
	return &Problem{Type: "urn:jobhub:problem:unavailable", Title: title, Status: 503, Code: Internal, Detail: detail}
}

// NewProblem returns a problem of that code; its detail should say what to do.
func NewProblem(code Code, title, format string, args ...any) *Problem {
	return newProblem(code, title, format, args...)
}

// Errors that a Store returns and that the engine and its callers compare with.
var (
	ErrNotFound  = newProblem(NotFound, "Not found", "There is no such job.")
	ErrConflict  = newProblem(Conflict, "Conflict", "The job has changed in the meantime.")
	ErrLeaseLost = newProblem(LeaseLost, "Lease lost", "This attempt was taken over or ended; stop working on it.")

	ErrQueueFull = typedProblem("https://iana.org/assignments/http-problem-types#temporary-reduced-capacity", QueueFull, "Queue full", "The queue holds as many waiting jobs as its capacity allows; nothing was stored. Try again later.")
	ErrGone      = &Problem{Type: "urn:jobhub:problem:gone", Title: "Gone", Status: 410, Code: NotFound, Detail: "The job's time of retention is over; it is no longer kept."}

	// ErrTrimmed: the log no longer reaches back to the position asked for.
	ErrTrimmed = errors.New("the log no longer holds this position")
	// ErrAhead: the position asked for is beyond the end of the log.
	ErrAhead = errors.New("the position lies beyond the end of the log")
	// ErrNoSpace: the disk is full; nothing of the batch was stored and it may be tried again.
	ErrNoSpace = errors.New("no space left for the store")
	// ErrClosed: the engine or the store was closed.
	ErrClosed = errors.New("closed")
)

// KeyTaken is the outcome of a submission whose idempotency key is bound to an
// earlier job already.
type KeyTaken struct {
	Job  Job
	Same bool // the fingerprints are equal: this is a repetition, not another request
}

// UnknownParent is the outcome of a submission that should wait for a job that does
// not exist.
type UnknownParent struct{ ID ID }

func (u *UnknownParent) Error() string { return "there is no job " + u.ID.String() + " to wait for" }

func (k *KeyTaken) Error() string { return "the idempotency key is bound to job " + k.Job.ID.String() }
