package commit

import (
	"context"
	"errors"

	"jobhub/jobs"
)

// refusal is the error of an op that was not accepted: nothing of it is or will be stored.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// errBusy: there was no room for the op among the pending ones within maxPendingWait.
var errBusy = errors.New("too much waits to be stored")

// Problem turns an error of the store or committer into the problem that a caller gets.
// It says that nothing was stored only if that is certain; otherwise the outcome is unknown.
func Problem(err error) error {
	if refused, ok := errors.AsType[refusal](err); ok {
		switch {
		case errors.Is(err, jobs.ErrClosed):
			return unavailableProblem(refused, "Shutting down", "The hub is shutting down. Nothing was stored; send it again in a few seconds.")
		case errors.Is(err, errBusy):
			return unavailableProblem(refused, "Busy", "More waits to be stored than the hub takes. Nothing was stored; send it again later.")
		}
		return unavailableProblem(refused, "Given up", "The request was given up before the hub could take it. Nothing was stored; send it again.")
	}
	if errors.Is(err, jobs.ErrNoSpace) {
		return unavailableProblem(err, "No space left", "The hub's disk is full. Nothing was stored; try again when there is space.")
	}
	if p, ok := errors.AsType[*jobs.Problem](err); ok {
		return p
	}
	return jobs.NewProblem(jobs.Internal, "Store failed", "The hub's store failed; whether this was stored is unknown. Send it again with the same Idempotency-Key after the hub was restarted.").Because(err)
}

func unavailableProblem(cause error, title, detail string) error {
	return jobs.Unavailable(title, detail).Because(cause)
}

// GivenUp is the problem of a caller whose context ended before anything was stored.
func GivenUp(ctx context.Context) error { return Problem(refusal{context.Cause(ctx)}) }
