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

// maxSleep bounds the wait for the next tick, because the clock may be set meanwhile.
const maxSleep = time.Minute

// fireDue submits the jobs of all schedules that are due, and returns when it has to run
// again.
func (ss *Schedules) fireDue(ctx context.Context) (next time.Time) {
	for {
		now := time.Now()
		all, err := ss.engine.store.Documents(ctx, "", schedule.Kind)
		if err != nil {
			if ctx.Err() == nil {
				ss.engine.log.Error("looking for schedules", "error", err)
			}
			return now.Add(time.Second)
		}
		next = now.Add(maxSleep)
		var fired []*tick
		active := false
		for _, d := range all {
			s, err := schedule.Decode(d)
			switch {
			case err != nil:
				ss.engine.log.Error("reading a schedule", "error", err)
			case s.NextAt.IsZero():
			case s.NextAt.After(now):
				active, next = true, earlierTime(next, s.NextAt)
			default:
				fired = append(fired, &tick{Schedule: s, tenant: d.Tenant, was: d.Data})
			}
		}
		if len(fired) == 0 {
			if !active {
				return time.Time{}
			}
			return next
		}
		if !ss.fire(ctx, now, fired) {
			return now.Add(time.Second)
		}
	}
}

// tick is a schedule whose time has come.
type tick struct {
	schedule.Schedule
	tenant   string
	was      jobs.Value
	op       *commit.Op
	replaced []*jobs.Change // the cancellations of the runs that it replaces
}

// prepareTick makes the op that submits the job of a schedule and updates the schedule.
func (ss *Schedules) prepareTick(t *tick, now time.Time) error {
	if err := ss.engine.allowed(t.tenant, t.Caller); err != nil {
		return err
	}
	spec, err := t.Spec(t.tenant)
	if err != nil {
		return err
	}
	job, err := ss.engine.newJob(spec)
	if err == nil {
		err = ss.engine.mention(&spec)
	}
	if err != nil {
		return err
	}
	fired := t.Schedule
	fired.LastAt, fired.LastJob, fired.LastError = now.Truncate(time.Millisecond).UTC(), job.ID, nil
	doc, err := fired.Document(t.tenant, t.was)
	if err != nil {
		return err
	}
	c := ss.engine.insertion(job, spec)
	c.Document = doc
	ss.applyOverlap(t, c)
	t.op = commit.NewOp(c)
	return nil
}

// fire submits the jobs of schedules together. It returns false if it has to be called again.
func (ss *Schedules) fire(ctx context.Context, now time.Time, due []*tick) (done bool) {
	all := len(due)
	for _, t := range due {
		next, err := t.Tick(now)
		if err != nil { // an update of the system may have removed a time zone
			ss.engine.log.Error("a schedule can't go on and is paused", "schedule", t.Name, "error", err)
			t.Paused = true
		}
		if t.NextAt = next; t.Paused {
			t.NextAt = time.Time{}
			ss.recordRefusal(t, err)
			continue
		}
		bad := catchPanic(ss.engine.log, "the job of a schedule", jobs.ID{}, func() { err = ss.prepareTick(t, now) })
		if err = cmp.Or(bad, err); err != nil {
			ss.recordRefusal(t, err)
		}
	}
	due = slices.DeleteFunc(due, func(t *tick) bool { return t.op == nil })
	if !ss.enqueueTicks(ctx, due) {
		return false
	}
	done = true
	for _, t := range due {
		err := t.op.Wait()
		if off, ok := errors.AsType[*runsUnfinished](err); ok {
			ss.engine.log.Info("a schedule waits for an earlier run", "schedule", t.Name, "error", err)
			for _, id := range off.cancel {
				if _, _, err := ss.engine.Cancel(ctx, t.tenant, id); err != nil && !isGone(err) {
					return false
				}
			}
			done = false
			continue
		}
		switch {
		case err == nil:
			ss.signalReplaced(t)
		case err == errSkipped:
			t.SkippedAt, t.LastError = now.Truncate(time.Millisecond).UTC(), nil
			if t.op, err = replacement(&t.Schedule, t.tenant, t.was); err == nil {
				err = ss.engine.commits.Do(ctx, t.op)
			}
		case t.op.Document == nil && isRefusal(err):
			ss.engine.log.Warn("a schedule's job was refused; its next chance is the next tick", "schedule", t.Name, "error", err)
			if ss.recordRefusal(t, err); t.op == nil {
				continue
			}
			err = ss.engine.commits.Do(ctx, t.op)
		}
		if err != nil && err != error(jobs.ErrConflict) { // else it was changed or fired elsewhere
			return false
		}
	}
	return done && len(due) == all
}

func (ss *Schedules) enqueueTicks(ctx context.Context, due []*tick) bool {
	for _, t := range due {
		if err := ss.engine.commits.Put(ctx, t.op); err != nil {
			return false
		}
	}
	return true
}

// recordRefusal makes the op that stores why a tick has no job; nil if that fails.
func (ss *Schedules) recordRefusal(t *tick, err error) {
	p, ok := errors.AsType[*jobs.Problem](err)
	if existing, same := errors.AsType[*jobs.Existing](err); same {
		p = existing.Problem()
	} else if !ok {
		p = jobs.NewProblem(jobs.Internal, "Not submitted", "%s", err)
	}
	t.LastError = p
	if t.op, err = replacement(&t.Schedule, t.tenant, t.was); err != nil {
		ss.engine.log.Error("a schedule can't be kept", "schedule", t.Name, "error", err)
	}
}

// isRefusal reports whether a working store refused a submission, for good or for now.
func isRefusal(err error) bool {
	_, unknown := errors.AsType[*jobs.UnknownDependency](err)
	_, existing := errors.AsType[*jobs.Existing](err)
	return unknown || existing || errors.Is(err, jobs.ErrQueueFull) || errors.Is(err, jobs.ErrConflict) && err != error(jobs.ErrConflict)
}
