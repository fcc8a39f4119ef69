package jobs

import (
	"errors"
	"time"
)

// Permanent fails the job for good: it would fail again. A nil error stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	f := failureOf(err)
	f.Never = true
	return f
}

// After fails the attempt; the next one is after d at the earliest. A nil error stays nil.
func After(d time.Duration, err error) error {
	if err == nil {
		return nil
	}
	f := failureOf(err)
	f.After = d
	return f
}

// Snooze puts the job off for d: it gives up its slot, and no attempt is spent.
func Snooze(d time.Duration) error { return &Snoozed{d} }

// Failure is an error of an attempt that says what to do next. Permanent and After make
// the usual ones.
type Failure struct {
	Problem *Problem
	Never   bool          // do not retry: the job fails as rejected
	After   time.Duration // wait at least this long before the next attempt
	Exactly bool          // wait just that long, whatever the job's backoff
}

func (f *Failure) Error() string { return f.Problem.Error() }
func (f *Failure) Unwrap() error { return f.Problem }

// failureOf is an error of a handler as the failure of its attempt, which the caller may change.
func failureOf(err error) *Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		own := *f
		return &own
	}
	if p, ok := errors.AsType[*Problem](err); ok {
		return &Failure{Problem: p}
	}
	p := NewProblem("handler_failed", "The handler failed", "%s", err.Error())
	p.cause = err
	return &Failure{Problem: p}
}

// Snoozed is the error that Snooze makes.
type Snoozed struct{ Delay time.Duration }

func (s *Snoozed) Error() string { return "snoozed for " + s.Delay.String() }
