package client

import (
	"context"
	"errors"

	"github.com/go-json-experiment/json"
)

// Typed makes the Handle of a [Worker] from a function of Go values: the input of a job is
// decoded into In, and what f returns is the result. A job whose input can't be decoded, for
// example because In lacks one of its members, fails without further attempts.
func Typed[In, Out any](f func(ctx context.Context, run *Run, in In) (Out, error)) func(context.Context, *Run) (any, error) {
	return func(ctx context.Context, run *Run) (any, error) {
		var in In
		if err := json.Unmarshal(run.Job.Input, &in, json.RejectUnknownMembers(true)); err != nil {
			p := &Problem{Title: "Input does not fit", Detail: "The input is not what the worker takes for " + run.Job.Kind + "; see errors.", Code: "bad_message"}
			e := MemberError{Pointer: "/input", Detail: err.Error()}
			if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
				switch e.Pointer += string(semantic.JSONPointer); {
				case errors.Is(err, json.ErrUnknownName):
					e.Detail = "unknown member"
				case semantic.Err != nil:
					e.Detail = semantic.Err.Error()
				case semantic.GoType != nil:
					e.Detail = "can't be a Go " + semantic.GoType.String()
				}
			}
			p.Errors = []MemberError{e}
			return nil, Permanent(p)
		}
		return f(ctx, run, in)
	}
}
