package engine

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine/commit"
	"jobhub/jobs/schedule"
)

// Schedules keeps the schedules and submits their jobs:
//
//	alarm → fireDue → fire: the job and the schedule's next time in one commit → Committer
//
// The rules of one schedule are in package schedule.
type Schedules struct {
	engine *Engine
	alarm  alarm // for the next tick
}

const (
	maxSchedules   = 1000     // of one tenant
	maxScheduleJob = 64 << 10 // bytes of JSON
)

// Put creates a schedule or replaces the one of that name, with the members of s up to Caller.
// made says whether it is new. The job is checked as in a submission. Credentials and secrets
// that it hides, as Shown does, stay as they are stored.
func (ss *Schedules) Put(ctx context.Context, tenant string, s schedule.Schedule) (_ schedule.Schedule, made bool, err error) {
	if !jobs.WellFormedName(s.Name) {
		return s, false, noSchedule(s.Name)
	}
	return ss.write(ctx, tenant, s.Name, func(old *schedule.Schedule) (next schedule.Schedule, err error) {
		next = s
		mine := old != nil && sameCaller(s.Caller, old.Caller)
		if old != nil {
			if next.Job, err = old.RestoreSecrets(next.Job, mine); err != nil {
				return next, err
			}
		}
		if err := ss.Check(tenant, &next); err != nil {
			return next, err
		}
		if old != nil {
			if next.Job, err = old.Credentials.Restore(old.Job, next.Job, mine, nil); err != nil {
				return next, jobs.ErrorUnder("/job", err)
			}
		}
		spec, err := next.Spec(tenant)
		if err == nil {
			err = ss.engine.checkHidden(&spec)
		}
		return next, jobs.ErrorUnder("/job", err)
	})
}

// Check checks all members of a schedule but its name, and compacts its job. All errors are in
// one problem.
func (ss *Schedules) Check(tenant string, s *schedule.Schedule) error {
	s.TimeZone = cmp.Or(s.TimeZone, "UTC")
	return jobs.JoinProblems(s.Check(), ss.checkJob(tenant, s))
}

// checkJob checks the job of a schedule as if it were submitted.
func (ss *Schedules) checkJob(tenant string, s *schedule.Schedule) error {
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
	spec, err := s.Spec(tenant)
	if err == nil {
		_, err = ss.engine.newJob(spec)
	}
	return jobs.ErrorUnder("/job", err)
}

// hideCredentials moves the credentials of the schedule's job, if it sends HTTP requests, to
// Credentials.
func (ss *Schedules) hideCredentials(s *schedule.Schedule) {
	whole := s.Credentials.Join(s.Job)
	spec, err := jobs.DecodeSpec(whole)
	if err != nil { // not after it was checked
		return
	}
	if h, _ := ss.engine.attempts.handler(spec.Kind); h.Requests {
		s.Job, s.Credentials = jobs.SplitCredentials(whole, ss.engine.masked.get())
	}
}

// write stores the schedule that edit returns for the one of that name; old is nil if
// there is none. edit is called again if the schedule changes meanwhile.
func (ss *Schedules) write(ctx context.Context, tenant, name string, edit func(old *schedule.Schedule) (schedule.Schedule, error)) (s schedule.Schedule, made bool, err error) {
	for {
		all, err := ss.engine.store.Documents(ctx, tenant, schedule.Kind)
		if err != nil {
			return s, false, err
		}
		i := slices.IndexFunc(all, func(d jobs.Document) bool { return d.Name == name })
		if i < 0 && len(all) >= maxSchedules {
			return s, false, jobs.NewProblem(jobs.Conflict, "Too many schedules", "There are %d schedules; delete some first.", len(all))
		}
		var old schedule.Schedule
		var was jobs.Value
		var there *schedule.Schedule
		if i >= 0 {
			if old, err = schedule.Decode(all[i]); err != nil {
				return s, false, err
			}
			was, there = all[i].Data, &old
		}
		if s, err = edit(there); err != nil {
			return s, false, err
		}
		ss.hideCredentials(&s)
		s.NextAt, s.LastAt, s.LastJob, s.LastError, s.SkippedAt = time.Time{}, old.LastAt, old.LastJob, nil, old.SkippedAt
		switch {
		case s.Paused:
		case was != nil && !old.Paused && old.Cron == s.Cron && old.TimeZone == s.TimeZone:
			s.NextAt = old.NextAt // it may be due at this moment
		default:
			if s.NextAt, err = s.Tick(time.Now()); err != nil {
				return s, false, err
			}
		}
		o, err := replacement(&s, tenant, was)
		if err != nil {
			return s, false, err
		}
		err = ss.engine.commits.Do(ctx, o)
		if errors.Is(err, jobs.ErrConflict) {
			continue // it has changed meanwhile: look again
		}
		if err != nil {
			return s, false, commit.Problem(err)
		}
		if !s.NextAt.IsZero() {
			ss.alarm.setBy(s.NextAt)
		}
		return s, was == nil, nil
	}
}

// List returns the schedules of a tenant by name.
func (ss *Schedules) List(ctx context.Context, tenant string) ([]schedule.Schedule, error) {
	all, err := ss.engine.store.Documents(ctx, tenant, schedule.Kind)
	list := make([]schedule.Schedule, len(all))
	for i := range all {
		if list[i], err = schedule.Decode(all[i]); err != nil {
			break
		}
	}
	return list, err
}

// Get returns one schedule; a problem with NotFound if there is none.
func (ss *Schedules) Get(ctx context.Context, tenant, name string) (schedule.Schedule, error) {
	stored, err := ss.stored(ctx, tenant, name)
	if err != nil {
		return schedule.Schedule{}, err
	}
	return schedule.Decode(stored)
}

// stored reads one schedule as it is stored.
func (ss *Schedules) stored(ctx context.Context, tenant, name string) (jobs.Document, error) {
	all, err := ss.engine.store.Documents(ctx, tenant, schedule.Kind)
	if err != nil {
		return jobs.Document{}, err
	}
	i := slices.IndexFunc(all, func(d jobs.Document) bool { return d.Name == name })
	if i < 0 {
		return jobs.Document{}, noSchedule(name)
	}
	return all[i], nil
}

// Delete deletes a schedule; the jobs that it has submitted stay.
func (ss *Schedules) Delete(ctx context.Context, tenant, name string) error {
	for {
		stored, err := ss.stored(ctx, tenant, name)
		if err != nil {
			return err
		}
		o := commit.NewOp(&jobs.Change{})
		o.Document = &jobs.DocumentChange{Document: jobs.Document{Tenant: tenant, Kind: schedule.Kind, Name: name}, Was: stored.Data}
		if err = ss.engine.commits.Do(ctx, o); err == nil {
			return nil
		}
		if !errors.Is(err, jobs.ErrConflict) {
			return commit.Problem(err)
		}
	}
}

// replacement is the op that stores a schedule; was is the stored document.
func replacement(s *schedule.Schedule, tenant string, was jobs.Value) (*commit.Op, error) {
	doc, err := s.Document(tenant, was)
	if err != nil {
		return nil, err
	}
	o := commit.NewOp(&jobs.Change{})
	o.Document = doc
	o.Bytes += len(doc.Data)
	return o, nil
}

func noSchedule(name string) error {
	return jobs.NewProblem(jobs.NotFound, "Not found", "There is no schedule %s; a name is "+jobs.NameRule, name)
}
