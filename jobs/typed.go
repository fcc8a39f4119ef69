package jobs

import (
	"context"
	"fmt"

	"github.com/go-json-experiment/json"
)

// Typed makes a handler of a function of Go values. The input of a job is decoded into In,
// and what f returns is encoded as the result of the job. An input that does not fit, also
// one with a member that In does not have, is refused when the job is submitted; if it was
// accepted before, the job fails for good.
func Typed[In, Out any](f func(ctx context.Context, run Run, in In) (Out, error)) Handler {
	decode := func(input Value) (in In, err error) {
		return in, ErrorUnder("/input", Decode(input, &in))
	}
	return Handler{
		Check: func(input Value, _ Via) error {
			_, err := decode(input)
			return err
		},
		Run: func(ctx context.Context, run Run) (Result, error) {
			in, err := decode(run.Job().Input)
			if err != nil {
				p := NewProblem(BadMessage, "Input does not fit", "The input is not what the handler of %s takes; see errors.", run.Job().Kind)
				if wrong, ok := err.(*Problem); ok {
					p.Errors = wrong.Errors
				}
				return Result{}, Permanent(p)
			}
			out, err := f(ctx, run, in)
			if err != nil {
				return Result{}, err
			}
			value, err := json.Marshal(out)
			if err != nil {
				return Result{}, Permanent(fmt.Errorf("the result can't be written as JSON: %w", err))
			}
			return Result{Value: value}, nil
		},
	}
}
