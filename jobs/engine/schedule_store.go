package engine

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"jobhub/jobs"
)

// PutSchedule creates a schedule or replaces the one of that name, with the members of s up
// to Caller. made says whether it is new. The job is checked as in a submission. Credentials and
// secrets that it hides, as Shown does, stay as they are stored.
func (e *Engine) PutSchedule(ctx context.Context, tenant string, s Schedule) (_ Schedule, made bool, err error) {
	if !jobs.WellFormedName(s.Name) {
		return s, false, noSchedule(s.Name)
	}
	return e.writeSchedule(ctx, tenant, s.Name, func(old *Schedule) (next Schedule, err error) {
		next = s
		mine := old != nil && sameCaller(s.Caller, old.Caller)
		if old != nil {
			if next.Job, err = old.restoreSecrets(next.Job, mine); err != nil {
				return next, err
			}
		}
		if err := e.CheckSchedule(tenant, &next); err != nil {
			return next, err
		}
		if old != nil {
			if next.Job, err = old.Credentials.Restore(old.Job, next.Job, mine, nil); err != nil {
				return next, jobs.ErrorUnder("/job", err)
			}
		}
		spec, err := next.spec(tenant)
		if err == nil {
			err = e.checkHidden(&spec)
		}
		return next, jobs.ErrorUnder("/job", err)
	})
}

// CheckSchedule checks all members of a schedule but its name, and compacts its job. All
// errors are in one problem.
func (e *Engine) CheckSchedule(tenant string, s *Schedule) error {
	s.TimeZone = cmp.Or(s.TimeZone, "UTC")
	_, err := s.next(time.Now())
	return jobs.JoinProblems(err, s.checkOverlap(), e.checkScheduleJob(tenant, s))
}

// checkScheduleJob checks the job of a schedule as if it were submitted.
func (e *Engine) checkScheduleJob(tenant string, s *Schedule) error {
	if s.Job == nil {
		return jobs.Invalid("/job", "is required: a job as POST /v1/jobs takes it")
	}
	job, err := jobs.JsonMember("/job", s.Job, jobs.MaxDepth)
	if err != nil {
		return err
	}
	if s.Job = job; len(s.Job) > maxScheduleJob {
		return jobs.Invalid("/job", "must be up to %d bytes; store large data elsewhere and send a link", maxScheduleJob)
	}
	spec, err := s.spec(tenant)
	if err == nil {
		_, err = e.newJob(spec)
	}
	return jobs.ErrorUnder("/job", err)
}

// hideCredentials moves the credentials of the schedule's job, if it sends HTTP requests, to
// Credentials.
func (e *Engine) hideCredentials(s *Schedule) {
	whole := s.Credentials.Join(s.Job)
	spec, err := jobs.DecodeSpec(whole)
	if err != nil { // not after it was checked
		return
	}
	if h, _ := e.handler(spec.Kind); h.Requests {
		s.Job, s.Credentials = jobs.SplitCredentials(whole, e.maskedNames())
	}
}

// writeSchedule stores the schedule that edit returns for the one of that name; old is nil if
// there is none. edit is called again if the schedule changes meanwhile.
func (e *Engine) writeSchedule(ctx context.Context, tenant, name string, edit func(old *Schedule) (Schedule, error)) (s Schedule, made bool, err error) {
	for {
		all, err := e.store.Documents(ctx, tenant, kindSchedule)
		if err != nil {
			return s, false, err
		}
		i := slices.IndexFunc(all, func(d jobs.Document) bool { return d.Name == name })
		if i < 0 && len(all) >= maxSchedules {
			return s, false, jobs.NewProblem(jobs.Conflict, "Too many schedules", "There are %d schedules; delete some first.", len(all))
		}
		var old Schedule
		var was jobs.Value
		var there *Schedule
		if i >= 0 {
			if old, err = decodeSchedule(all[i]); err != nil {
				return s, false, err
			}
			was, there = all[i].Data, &old
		}
		if s, err = edit(there); err != nil {
			return s, false, err
		}
		e.hideCredentials(&s)
		s.NextAt, s.LastAt, s.LastJob, s.LastError, s.SkippedAt = time.Time{}, old.LastAt, old.LastJob, nil, old.SkippedAt
		switch {
		case s.Paused:
		case was != nil && !old.Paused && old.Cron == s.Cron && old.TimeZone == s.TimeZone:
			s.NextAt = old.NextAt // it may be due at this moment
		default:
			if s.NextAt, err = s.tick(time.Now()); err != nil {
				return s, false, err
			}
		}
		o, err := s.change(tenant, was)
		if err != nil {
			return s, false, err
		}
		err = e.commits.do(ctx, o)
		if errors.Is(err, jobs.ErrConflict) {
			continue // it has changed meanwhile: look again
		}
		if err != nil {
			return s, false, e.storeProblem(err)
		}
		if !s.NextAt.IsZero() {
			e.scheduleAlarm.setBy(s.NextAt)
		}
		return s, was == nil, nil
	}
}

// Schedules returns the schedules of a tenant by name.
func (e *Engine) Schedules(ctx context.Context, tenant string) ([]Schedule, error) {
	all, err := e.store.Documents(ctx, tenant, kindSchedule)
	list := make([]Schedule, len(all))
	for i := range all {
		if list[i], err = decodeSchedule(all[i]); err != nil {
			break
		}
	}
	return list, err
}

// Schedule returns one schedule; a problem with NotFound if there is none.
func (e *Engine) Schedule(ctx context.Context, tenant, name string) (Schedule, error) {
	stored, err := e.storedSchedule(ctx, tenant, name)
	if err != nil {
		return Schedule{}, err
	}
	return decodeSchedule(stored)
}

// storedSchedule reads one schedule as it is stored.
func (e *Engine) storedSchedule(ctx context.Context, tenant, name string) (jobs.Document, error) {
	all, err := e.store.Documents(ctx, tenant, kindSchedule)
	if err != nil {
		return jobs.Document{}, err
	}
	i := slices.IndexFunc(all, func(d jobs.Document) bool { return d.Name == name })
	if i < 0 {
		return jobs.Document{}, noSchedule(name)
	}
	return all[i], nil
}

// DeleteSchedule deletes a schedule; the jobs that it has submitted stay.
func (e *Engine) DeleteSchedule(ctx context.Context, tenant, name string) error {
	for {
		stored, err := e.storedSchedule(ctx, tenant, name)
		if err != nil {
			return err
		}
		o := newOp(&jobs.Change{})
		o.document = &jobs.DocumentChange{Document: jobs.Document{Tenant: tenant, Kind: kindSchedule, Name: name}, Was: stored.Data}
		if err = e.commits.do(ctx, o); err == nil {
			return nil
		}
		if !errors.Is(err, jobs.ErrConflict) {
			return e.storeProblem(err)
		}
	}
}

func (s *Schedule) change(tenant string, was jobs.Value) (*op, error) {
	doc, err := s.document(tenant, was)
	if err != nil {
		return nil, err
	}
	o := newOp(&jobs.Change{})
	o.document = doc
	o.bytes += len(doc.Data)
	return o, nil
}

func noSchedule(name string) error {
	return jobs.NewProblem(jobs.NotFound, "Not found", "There is no schedule %s; a name is "+jobs.NameRule, name)
}
