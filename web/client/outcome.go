package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Why the context of an attempt ended.
var (
	ErrCancelled = errors.New("the job was cancelled") // what is completed within 10 s still counts
	ErrLeaseLost = errors.New("the lease was lost")    // nothing this attempt does counts
	ErrTimeout   = errors.New("the attempt ran longer than its timeout")
	ErrDraining  = errors.New("the worker is told to exit") // an error now releases the job; it does not count as an attempt
)

// verdict is an error that says what the hub is to do next.
type verdict struct {
	err        error
	verb       string // fail, snooze or release
	retry      string
	delay      time.Duration
	checkpoint any
}

func (v *verdict) Error() string { return v.err.Error() }
func (v *verdict) Unwrap() error { return v.err }

// Permanent fails the job without further attempts, as they would fail too. A nil error stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &verdict{err: err, verb: "fail", retry: "never"}
}

// After fails the attempt; the next one starts after d at the earliest. A nil error stays nil.
func After(d time.Duration, err error) error {
	if err == nil {
		return nil
	}
	return &verdict{err: err, verb: "fail", retry: "after " + d.String()}
}

// Snooze makes the job wait for d, which does not count as an attempt.
func Snooze(d time.Duration) error {
	return &verdict{err: fmt.Errorf("put off for %s", d), verb: "snooze", delay: d}
}

// Release returns the job to its queue, which does not count as an attempt. A checkpoint that
// is not nil is kept for the next attempt; it is JSON of at most 64 KiB.
func Release(checkpoint any) error {
	return &verdict{err: errors.New("released"), verb: "release", checkpoint: checkpoint}
}

// outcome is the last call of an attempt.
type outcome struct {
	verb string
	body jsontext.Value
}

// attempt runs one job and sends its outcome.
func (s *shift) attempt(r *Run) {
	ctx, cancel := context.WithTimeoutCause(r.ctx, r.Job.Timeout, ErrTimeout)
	defer cancel()
	result, err := s.handle(ctx, r)
	if !r.ended.CompareAndSwap(false, true) {
		return // it took too long to stop, and was released
	}
	r.flush()
	s.end(r, conclude(result, err, context.Cause(ctx)))
}

// handle calls Handle; a panic fails the attempt, not the worker.
func (s *shift) handle(ctx context.Context, r *Run) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			s.Logger.Error("the handler panicked", "job", r.Job.ID, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("the handler panicked: %v", p)
		}
	}()
	return s.Handle(ctx, r)
}

// conclude returns the call that ends the attempt; cause is why the context had ended, if it
// had.
func conclude(result any, err, cause error) outcome {
	v := &verdict{verb: "fail", retry: "auto"}
	errors.As(err, &v)
	var body any
	switch {
	case err == nil:
		text, err := json.Marshal(struct {
			Result any `json:"result"`
		}{result})
		if err != nil {
			return failure(fmt.Errorf("the result can't be written as JSON: %w", err), "never")
		}
		return outcome{"complete", text}
	case v.verb == "release":
		body = struct {
			Checkpoint any `json:"checkpoint,omitzero"`
		}{v.checkpoint}
	case cause == ErrDraining:
		return outcome{"release", nil}
	case v.verb == "snooze":
		body = struct {
			Delay string `json:"delay"`
		}{v.delay.String()}
	case cause == ErrTimeout:
		return failure(&Problem{Title: "Timed out", Detail: err.Error(), Code: "timeout"}, v.retry)
	default:
		return failure(err, v.retry)
	}
	text, err := json.Marshal(body)
	if err != nil {
		return failure(fmt.Errorf("the checkpoint can't be written as JSON: %w", err), "auto")
	}
	return outcome{v.verb, text}
}

// failure is the outcome of a failed attempt.
func failure(err error, retry string) outcome {
	p, ok := problem(err)
	if !ok {
		p = &Problem{Title: "The handler failed", Detail: err.Error()}
	}
	text, _ := json.Marshal(struct {
		Error *Problem `json:"error"`
		Retry string   `json:"retry"`
	}{p, retry}, jsontext.AllowInvalidUTF8(true))
	return outcome{"fail", text}
}

// end sends the outcome until the hub answers, and frees the slot.
func (s *shift) end(r *Run, o outcome) {
	defer func() {
		r.cancel(nil)
		r.hangUp()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.runs, r.Job.lease)
		s.settled.add(r.Job.lease, 1000+4*s.Slots)
		close(s.changed)
		s.changed = make(chan struct{})
	}()
	for failures := 1; r.reporting.Err() == nil; {
		r.settling.Store(true)
		err := s.send(r.reporting, "/v1/leases/"+r.Job.lease+"/"+o.verb, "application/json", o.body, new(jsontext.Value))
		p, answered := problem(err)
		switch {
		case err == nil:
			return
		case answered && p.Status == http.StatusConflict:
			s.Logger.Warn("an outcome was not accepted, as the lease was lost", "job", r.Job.ID, "outcome", o.verb, "error", err)
			return
		case !again(err) && o.verb == "complete": // the result is too large
			o = failure(err, "never")
		case !again(err):
			s.Logger.Error("the hub refused an outcome", "job", r.Job.ID, "outcome", o.verb, "error", err)
			return
		default:
			s.wait(r.reporting, "settling", failures, err)
			failures++
		}
	}
	s.Logger.Warn("an outcome was not sent, as the lease was lost", "job", r.Job.ID, "outcome", o.verb, "error", context.Cause(r.ctx))
}

func problem(err error) (*Problem, bool) { return errors.AsType[*Problem](err) }
