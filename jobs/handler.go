package jobs

import (
	"context"
	"errors"
)

// Handler runs the jobs of one kind inside the hub's process.
type Handler struct {
	// Check, if set, checks the input of a job before the job is accepted. Its *Problem is
	// the answer to the submission.
	Check func(input Value, via Via) error

	// Requests says that the input describes HTTP requests. Their credentials are hidden
	// from everybody but the attempt.
	Requests bool

	// Run does the work of one attempt. It must return soon after ctx ends;
	// context.Cause(ctx) then is ErrCancelRequested, ErrTimeout or ErrDraining.
	//
	// A nil error completes the job with the result. An error fails the attempt, which
	// is then repeated as the job's retry policy says; Permanent, After and Snooze make
	// errors that say otherwise. The result of a failed attempt is kept if the job fails with it.
	Run func(ctx context.Context, run Run) (Result, error)

	// Repeat, if set, returns the partial result with which a retry of only these targets of
	// an old job begins. Its *Problem is the answer to the retry.
	Repeat func(old *Job, targets []string) (Value, error)
}

// Result is what an attempt produced: a JSON value, or the answer of an HTTP API.
type Result struct {
	Value    Value
	Response *Response
}

// Why the context of a Run ended.
var (
	ErrCancelRequested = errors.New("cancellation was requested")
	ErrTimeout         = errors.New("the attempt ran longer than its timeout")
	ErrDraining        = errors.New("the hub is shutting down")
	ErrRevoked         = errors.New("the lease was revoked")
)
