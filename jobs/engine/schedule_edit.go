package engine

import (
	"context"
	"errors"
	"time"

	"jobhub/jobs"
)

// This file changes and runs single schedules.

// CreateSchedule is PutSchedule for a new name; a problem with Conflict if there is a
// schedule of that name.
func (e *Engine) CreateSchedule(ctx context.Context, tenant string, s Schedule) (Schedule, error) {
	if !jobs.WellFormedName(s.Name) {
		return s, noSchedule(s.Name)
	}
	if err := e.CheckSchedule(tenant, &s); err != nil {
		return s, err
	}
	s, _, err := e.writeSchedule(ctx, tenant, s.Name, func(old *Schedule) (Schedule, error) {
		if old != nil {
			return s, jobs.NewProblem(jobs.Conflict, "Name in use", "There is a schedule %s already.", s.Name)
		}
		return s, nil
	})
	return s, err
}

// ChangeSchedule applies edit to a stored schedule; edit may set only the members that
// PutSchedule accepts. A problem with NotFound if there is none of that name.
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

// RunSchedule submits the job of a schedule now, also of a paused one. The next tick stays as
// it is.
func (e *Engine) RunSchedule(ctx context.Context, tenant, name string) (jobs.Job, error) {
	for {
		stored, err := e.storedSchedule(ctx, tenant, name)
		if err != nil {
			return jobs.Job{}, err
		}
		s, err := decodeSchedule(stored)
		if err != nil {
			return jobs.Job{}, err
		}
		t := &tick{Schedule: s, tenant: tenant, was: stored.Data}
		if err := e.prepareTick(t, time.Now()); err != nil {
			return jobs.Job{}, err
		}
		err = e.commits.do(ctx, t.op)
		existing, same := errors.AsType[*jobs.Existing](err)
		_, off := errors.AsType[*runsUnfinished](err)
		switch _, unknown := errors.AsType[*jobs.UnknownDependency](err); {
		case err == nil:
			e.signalReplaced(t)
			return t.op.change.Job, nil
		case same:
			return jobs.Job{}, existing.Problem()
		case off || err == errSkipped:
			return jobs.Job{}, jobs.NewProblem(jobs.Conflict, "Not submitted", "An earlier run of the schedule is unfinished, and its overlap is %s.", s.Overlap)
		case unknown:
			return jobs.Job{}, jobs.NewProblem(jobs.Conflict, "Not submitted", "The job is to wait for one that is no longer there.")
		case err != error(jobs.ErrConflict): // else it was changed or fired meanwhile
			return jobs.Job{}, e.storeProblem(err)
		}
	}
}
