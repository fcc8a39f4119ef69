package engine

import (
	"context"
	"errors"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine/commit"
	"jobhub/jobs/schedule"
)

// Create is Put for a new name; a problem with Conflict if there is a schedule of that name.
func (ss *Schedules) Create(ctx context.Context, tenant string, s schedule.Schedule) (schedule.Schedule, error) {
	if !jobs.WellFormedName(s.Name) {
		return s, noSchedule(s.Name)
	}
	if err := ss.Check(tenant, &s); err != nil {
		return s, err
	}
	s, _, err := ss.write(ctx, tenant, s.Name, func(old *schedule.Schedule) (schedule.Schedule, error) {
		if old != nil {
			return s, jobs.NewProblem(jobs.Conflict, "Name in use", "There is a schedule %s already.", s.Name)
		}
		return s, nil
	})
	return s, err
}

// Change applies edit to a stored schedule; edit may set only the members that
// Put accepts. A problem with NotFound if there is none of that name.
func (ss *Schedules) Change(ctx context.Context, tenant, name string, edit func(*schedule.Schedule)) (schedule.Schedule, error) {
	s, _, err := ss.write(ctx, tenant, name, func(old *schedule.Schedule) (schedule.Schedule, error) {
		if old == nil {
			return schedule.Schedule{}, noSchedule(name)
		}
		s := *old
		edit(&s)
		return s, ss.Check(tenant, &s)
	})
	return s, err
}

// Run submits the job of a schedule now, also of a paused one. The next tick stays as
// it is.
func (ss *Schedules) Run(ctx context.Context, tenant, name string) (jobs.Job, error) {
	for {
		stored, err := ss.stored(ctx, tenant, name)
		if err != nil {
			return jobs.Job{}, err
		}
		s, err := schedule.Decode(stored)
		if err != nil {
			return jobs.Job{}, err
		}
		t := &tick{Schedule: s, tenant: tenant, was: stored.Data}
		if err := ss.prepareTick(t, time.Now()); err != nil {
			return jobs.Job{}, err
		}
		err = ss.engine.commits.Do(ctx, t.op)
		existing, same := errors.AsType[*jobs.Existing](err)
		_, off := errors.AsType[*runsUnfinished](err)
		switch _, unknown := errors.AsType[*jobs.UnknownDependency](err); {
		case err == nil:
			ss.signalReplaced(t)
			return t.op.Change.Job, nil
		case same:
			return jobs.Job{}, existing.Problem()
		case off || err == errSkipped:
			return jobs.Job{}, jobs.NewProblem(jobs.Conflict, "Not submitted", "An earlier run of the schedule is unfinished, and its overlap is %s.", s.Overlap)
		case unknown:
			return jobs.Job{}, jobs.NewProblem(jobs.Conflict, "Not submitted", "The job is to wait for one that is no longer there.")
		case err != error(jobs.ErrConflict): // else it was changed or fired meanwhile
			return jobs.Job{}, commit.Problem(err)
		}
	}
}
