package jobs

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs/cron"
)

// This file is what people do with a schedule, besides writing it whole.

// MakeSchedule is PutSchedule for a name that is new; a problem with Conflict if it is not.
func (e *Engine) MakeSchedule(ctx context.Context, tenant string, s Schedule) (Schedule, error) {
	if !WellFormedName(s.Name) {
		return s, noSchedule(s.Name)
	}
	if err := e.CheckSchedule(tenant, &s); err != nil {
		return s, err
	}
	s, _, err := e.writeSchedule(ctx, tenant, s.Name, func(old *Schedule) (Schedule, error) {
		if old != nil {
			return s, newProblem(Conflict, "Name in use", "There is a schedule %s already.", s.Name)
		}
		return s, nil
	})
	return s, err
}

// ChangeSchedule applies edit to a stored schedule; edit may set only what PutSchedule
// accepts. A problem with NotFound if there is none of that name.
func (e *Engine) ChangeSchedule(ctx context.Context, tenant, name string, edit func(*Schedule)) (Schedule, error) {
	s, _, err := e.writeSchedule(ctx, tenant, name, func(old *Schedule) (Schedule, error) {
		if old == nil {
			return Schedule{}, noSchedule(name)
		}
		s := *old
		edit(&s)
		return s, e.CheckSchedule(tenant, &s)
	})
	return s, err
}

// RunSchedule submits the job of a schedule now, as its next tick would, which still comes.
// A schedule that is paused can be run.
func (e *Engine) RunSchedule(ctx context.Context, tenant, name string) (Job, error) {
	for {
		all, err := e.store.Documents(ctx, tenant, kindSchedule)
		if err != nil {
			return Job{}, err
		}
		i := slices.IndexFunc(all, func(d Document) bool { return d.Name == name })
		if i < 0 {
			return Job{}, noSchedule(name)
		}
		s, err := decodeSchedule(all[i])
		if err != nil {
			return Job{}, err
		}
		t := &tick{Schedule: s, tenant: tenant, was: all[i].Data}
		if err := e.prepare(t, time.Now()); err != nil {
			return Job{}, err
		}
		err = e.commits.do(ctx, t.op)
		existing, same := errors.AsType[*Existing](err)
		_, off := errors.AsType[*putOff](err)
		switch _, unknown := errors.AsType[*UnknownParent](err); {
		case err == nil:
			e.tellReplaced(t)
			return t.op.change.Job, nil
		case same:
			return Job{}, existing.problem()
		case off || err == errSkipped:
			return Job{}, newProblem(Conflict, "Not submitted", "An earlier run of the schedule is unfinished, and its overlap is %s.", s.Overlap)
		case unknown:
			return Job{}, newProblem(Conflict, "Not submitted", "The job is to wait for one that is no longer there.")
		case err != error(ErrConflict): // else it was changed or fired meanwhile
			return Job{}, e.unavailable(err)
		}
	}
}

// Ticks are the next n times of a schedule after t, whether it is paused or not, in its time
// zone; fewer if it names no more.
func (s *Schedule) Ticks(t time.Time, n int) (all []time.Time) {
	for range n {
		next, err := s.next(t)
		if err != nil {
			break
		}
		all, t = append(all, next), next
	}
	return all
}

// Words says in English when it submits jobs, without the time zone.
func (s *Schedule) Words() string {
	expr, err := cron.Parse(s.Cron)
	if err != nil { // not after it was checked
		return s.Cron
	}
	return expr.Words()
}

// Shown is the job of a schedule as everybody may see it: without the secrets of its
// callbacks.
func (s *Schedule) Shown() Value {
	spec, err := DecodeSpec(s.Job)
	if err != nil { // not after it was checked
		return Value("null")
	}
	if len(spec.Callbacks) == 0 {
		return s.Job
	}
	d := jsontext.NewDecoder(bytes.NewReader(s.Job))
	if _, err := d.ReadToken(); err != nil {
		return Value("null")
	}
	b := []byte{'{'}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return Value("null")
		}
		own := name.String() == "callbacks" // before the token's text goes with the next one
		b = append(appendString(b, name.String()), ':')
		value, err := d.ReadValue()
		if err != nil {
			return Value("null")
		}
		if own {
			b = AppendCallbacks(b, spec.Callbacks)
		} else {
			b = append(b, value...)
		}
		b = append(b, ',')
	}
	return append(bytes.TrimSuffix(b, []byte{','}), '}')
}
