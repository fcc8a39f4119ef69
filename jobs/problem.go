package jobs

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Code is a machine-readable word for what went wrong, the same over HTTP,
// WebSocket and in a job's error.
type Code string

const (
	BadMessage     Code = "bad_message"
	NotFound       Code = "not_found"
	Conflict       Code = "conflict"
	CodeLeaseLost  Code = "lease_lost"
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

	cause error // the underlying error, for errors.Is; it is not sent over the network
}

// Unwrap returns the underlying error; nil if there is none.
func (p *Problem) Unwrap() error { return p.cause }

// Because sets the error that Unwrap returns, and returns the problem.
func (p *Problem) Because(err error) *Problem {
	p.cause = err
	return p
}

// MemberError says what is wrong with one member of a document; Pointer is a
// JSON pointer (RFC 6901).
type MemberError struct {
	Pointer string `json:"pointer"`
	Detail  string `json:"detail"`
}

// AppendJSON appends the problem; null for nil.
func (p *Problem) AppendJSON(b []byte) []byte {
	if p == nil {
		return append(b, "null"...)
	}
	return append(p.AppendMembers(append(b, '{')), '}')
}

// AppendMembers appends the members of the problem without the braces around them, so that
// a caller can add its own.
func (p *Problem) AppendMembers(b []byte) []byte {
	if p.Type != "" {
		b = append(AppendString(append(b, `"type":`...), p.Type), ',')
	}
	b = AppendString(append(b, `"title":`...), p.Title)
	if p.Status != 0 {
		b = strconv.AppendInt(append(b, `,"status":`...), int64(p.Status), 10)
	}
	if p.Detail != "" {
		b = AppendString(append(b, `,"detail":`...), p.Detail)
	}
	b = AppendString(append(b, `,"code":`...), string(p.Code))
	if len(p.Errors) == 0 {
		return b
	}
	b = append(b, `,"errors":[`...)
	for i, e := range p.Errors {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendString(append(b, `{"pointer":`...), e.Pointer)
		b = append(AppendString(append(b, `,"detail":`...), e.Detail), '}')
	}
	return append(b, ']')
}

// MarshalJSON implements json.Marshaler.
func (p Problem) MarshalJSON() ([]byte, error) { return p.AppendJSON(nil), nil }

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

// Is makes errors.Is compare problems by their type, code and status.
func (p *Problem) Is(target error) bool {
	t, ok := target.(*Problem)
	return ok && t.Type == p.Type && t.Code == p.Code && t.Status == p.Status
}

// NewProblem returns a problem of that code; its detail should say what to do.
func NewProblem(code Code, title, format string, args ...any) *Problem {
	return &Problem{Type: "urn:jobhub:problem:" + string(code), Code: code, Title: title, Detail: strings.ToValidUTF8(fmt.Sprintf(format, args...), "\ufffd")}
}

func problemOfType(kind string, code Code, title, detail string) *Problem {
	return &Problem{Type: kind, Code: code, Title: title, Detail: detail}
}

// Unavailable is the problem, with status 503, of a request that can't be served now and had
// no effect.
func Unavailable(title, detail string) *Problem {
	return &Problem{Type: "urn:jobhub:problem:internal", Title: title, Status: 503, Code: Internal, Detail: detail}
}

// Errors that a Store returns and that the engine and its callers compare with.
var (
	ErrNotFound  = NewProblem(NotFound, "Not found", "There is no such job.")
	ErrConflict  = NewProblem(Conflict, "Conflict", "The job has changed in the meantime.")
	ErrLeaseLost = NewProblem(CodeLeaseLost, "Lease lost", "This attempt was taken over or ended; stop working on it.")

	ErrQueueFull = problemOfType("https://iana.org/assignments/http-problem-types#temporary-reduced-capacity", QueueFull, "Queue full", "The queue holds as many waiting jobs as its capacity allows; nothing was stored. Try again later.")
	ErrGone      = &Problem{Type: "urn:jobhub:problem:not_found", Title: "Gone", Status: 410, Code: NotFound, Detail: "The job was deleted, or its time of retention is over; it is no longer kept."}

	ErrOrderTaken = NewProblem(Conflict, "Ordering key in use", "A later job of the same ordering key runs in that queue. Move this one when that has ended.")
	// ErrDamaged: the data is in a damaged part of the store. As the error of a whole
	// batch it means that nothing was stored.
	ErrDamaged = &Problem{Type: "urn:jobhub:problem:store_damaged", Title: "Store damaged", Status: 500, Code: Internal,
		Detail: "A part of the hub's store is damaged, and what was asked for cannot be read. The hub's log says which part; restore a backup of the data folder."}

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

// Existing is the outcome of an insertion if there is such a job already: an equal one by
// Unique, or an earlier retry of the same job.
type Existing struct{ Job Job }

func (x *Existing) Error() string { return "there is the job " + x.Job.ID.String() + " already" }

func (x *Existing) Problem() *Problem {
	return NewProblem(Conflict, "Not unique", "The job %s, which is %s, is the same by the job's unique; none was submitted.", x.Job.ID, x.Job.State)
}

// UnknownDependency is the outcome of a submission that should wait for a job that does
// not exist.
type UnknownDependency struct{ ID ID }

func (u *UnknownDependency) Error() string {
	return "there is no job " + u.ID.String() + " to wait for"
}

func (k *KeyTaken) Error() string { return "the idempotency key is bound to job " + k.Job.ID.String() }

// errorUnder prefixes the pointers of a problem: its document is the member at pointer of
// another one.
func ErrorUnder(pointer string, err error) error {
	if p, ok := errors.AsType[*Problem](err); ok {
		return problemUnder(pointer, p)
	}
	return err
}

// joinProblems joins the errors of a document into one problem, with the title of the first;
// nil if there are none.
func JoinProblems(errs ...error) error {
	var all *Problem
	for _, err := range errs {
		if err == nil {
			continue
		}
		p, ok := errors.AsType[*Problem](err)
		switch {
		case !ok:
			return err
		case all == nil:
			all = problemUnder("", p)
		default:
			all.Errors = append(all.Errors, p.Errors...)
		}
	}
	if all == nil {
		return nil
	}
	return all
}

// problemUnder is a copy of p with pointer before all pointers.
func problemUnder(pointer string, p *Problem) *Problem {
	inner := *p
	inner.Errors = slices.Clone(p.Errors)
	for i := range inner.Errors {
		inner.Errors[i].Pointer = pointer + inner.Errors[i].Pointer
	}
	return &inner
}

// Invalid is the problem of a member that is well-formed JSON but can't be accepted;
// pointer is its place (RFC 6901). Its status is 422.
func Invalid(pointer, format string, args ...any) *Problem {
	p := NewProblem(BadMessage, "Invalid request", "See errors for the members to correct.")
	p.Status = 422
	if len(pointer) > 256 { // the place of something nested without sense
		pointer = pointer[:256]
	}
	p.Errors = []MemberError{{strings.ToValidUTF8(pointer, "\ufffd"), strings.ToValidUTF8(fmt.Sprintf(format, args...), "\ufffd")}}
	return p
}
