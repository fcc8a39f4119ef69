package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs/cron"
)

// Schedule submits a job whenever its time comes. At a tick the job and the schedule's new
// times are one commit, guarded by what the schedule was before: there is one job per
// tick, however many engines and restarts there are. Ticks that were missed are made
// up for by one job. A tick whose job is refused, by a full queue for one, or whose caller
// may not act any more, is skipped.
type Schedule struct {
	Name      string    `json:"-"`
	Cron      string    `json:"cron"`
	TimeZone  string    `json:"time_zone"` // IANA name; UTC if empty
	Job       Value     `json:"job"`       // a submission; what it hides is in Credentials
	Paused    bool      `json:"paused"`
	Overlap   string    `json:"overlap,omitzero"`  // one of Overlaps; allow if empty
	Caller    string    `json:"caller"`            // in whose name the jobs are
	NextAt    time.Time `json:"next_at,omitzero"`  // zero while paused
	LastAt    time.Time `json:"last_at,omitzero"`  // when it last submitted a job
	LastJob   ID        `json:"last_job,omitzero"` // which
	LastError *Problem  `json:"last_error,omitzero"`
	SkippedAt time.Time `json:"skipped_at,omitzero"` // when it last skipped a tick because of an unfinished run

	Credentials Credentials `json:"credentials,omitzero"`
}

const (
	kindSchedule   = "schedule"
	maxSchedules   = 1000        // of one tenant
	maxScheduleJob = 64 << 10    // bytes of JSON
	glance         = time.Minute // the clock may have been set meanwhile
)

// ScheduleTag is on every job that a schedule submits.
func ScheduleTag(name string) string { return "schedule:" + name }

// next is the first tick after t.
func (s *Schedule) next(t time.Time) (time.Time, error) {
	expr, err := cron.Parse(s.Cron)
	if err != nil {
		err = invalid("/cron", "%s", err)
	}
	zone, unknown := time.LoadLocation(s.TimeZone)
	if unknown != nil || s.TimeZone == "Local" {
		unknown = invalid("/time_zone", "must be a name like Europe/Berlin or UTC")
	}
	if err := together(err, unknown); err != nil {
		return t, err
	}
	next := expr.Next(t.In(zone))
	if next.IsZero() {
		return t, invalid("/cron", "names no time within nine years")
	}
	return next, nil
}

// tick is the first one after t, in UTC.
func (s *Schedule) tick(t time.Time) (time.Time, error) {
	next, err := s.next(t)
	return next.UTC(), err
}

// spec is what the schedule submits.
func (s *Schedule) spec(tenant string) (Spec, error) {
	spec, err := DecodeSpec(s.Credentials.Join(s.Job))
	if err == nil && !spec.RunAt.IsZero() {
		err = invalid("/run_at", "is what the schedule says; use delay to put the job off further")
	}
	if err == nil && len(spec.Tags) >= maxTags {
		err = invalid("/tags", "at most %d tags, besides that of the schedule", maxTags-1)
	}
	spec.Tenant, spec.Caller, spec.Tags, spec.schedule = tenant, s.Caller, append(spec.Tags, ScheduleTag(s.Name)), s.Name
	if (s.Overlap == "queue" || s.Overlap == "replace") && spec.OrderingKey == "" {
		spec.OrderingKey = ScheduleTag(s.Name)
	}
	return spec, err
}

// PutSchedule makes a schedule, or replaces the one of that name; of s it uses the members
// up to Caller. made tells whether it is new. The job is checked as its submission would be.
func (e *Engine) PutSchedule(ctx context.Context, tenant string, s Schedule) (_ Schedule, made bool, err error) {
	if !WellFormedName(s.Name) {
		return s, false, noSchedule(s.Name)
	}
	if err := e.CheckSchedule(tenant, &s); err != nil {
		return s, false, err
	}
	return e.writeSchedule(ctx, tenant, s.Name, func(old *Schedule) (Schedule, error) {
		next := s
		if old != nil {
			var err error
			if next.Job, err = old.Credentials.keep(old.Job, s.Job, sameCaller(s.Caller, old.Caller), nil); err != nil {
				return next, under("/job", err)
			}
		}
		spec, err := next.spec(tenant)
		if err == nil {
			err = e.checkHidden(&spec)
		}
		return next, under("/job", err)
	})
}

// CheckSchedule checks all members of a schedule but its name, and compacts its job. Its
// error is one *Problem with all that is wrong.
func (e *Engine) CheckSchedule(tenant string, s *Schedule) error {
	s.TimeZone = cmp.Or(s.TimeZone, "UTC")
	_, err := s.next(time.Now())
	return together(err, s.checkOverlap(), e.checkTemplate(tenant, s))
}

// checkTemplate looks at the job of a schedule as if it were submitted.
func (e *Engine) checkTemplate(tenant string, s *Schedule) error {
	if s.Job == nil {
		return invalid("/job", "is required: a job as POST /v1/jobs takes it")
	}
	job, err := jsonMember("/job", s.Job, MaxDepth)
	if err != nil {
		return err
	}
	if s.Job = job; len(s.Job) > maxScheduleJob {
		return invalid("/job", "must be up to %d bytes; store large data elsewhere and send a link", maxScheduleJob)
	}
	spec, err := s.spec(tenant)
	if err == nil {
		_, err = e.newJob(spec)
	}
	return under("/job", err)
}

// hideCredentials keeps those of the job, if it sends HTTP requests, apart from it.
func (e *Engine) hideCredentials(s *Schedule) {
	whole := s.Credentials.Join(s.Job)
	spec, err := DecodeSpec(whole)
	if err != nil { // not after it was checked
		return
	}
	if h, _ := e.handler(spec.Kind); h.Requests {
		s.Job, s.Credentials = SplitCredentials(whole, e.maskedNames())
	}
}

// under is an error about a document that is a member of another one.
func under(pointer string, err error) error {
	if p, ok := errors.AsType[*Problem](err); ok {
		return within(pointer, p)
	}
	return err
}

// together is one problem of all that is wrong with a document, as the first one says it;
// nil if nothing is.
func together(errs ...error) error {
	var all *Problem
	for _, err := range errs {
		if err == nil {
			continue
		}
		p, ok := errors.AsType[*Problem](err)
		switch {
		case !ok:
			return err
		case all == nil:
			all = within("", p)
		default:
			all.Errors = append(all.Errors, p.Errors...)
		}
	}
	if all == nil {
		return nil
	}
	return all
}

// writeSchedule stores what edit makes of the schedule of that name, which is nil if there
// is none. It is called again whenever that has changed meanwhile.
func (e *Engine) writeSchedule(ctx context.Context, tenant, name string, edit func(old *Schedule) (Schedule, error)) (s Schedule, made bool, err error) {
	for {
		all, err := e.store.Documents(ctx, tenant, kindSchedule)
		if err != nil {
			return s, false, err
		}
		i := slices.IndexFunc(all, func(d Document) bool { return d.Name == name })
		if i < 0 && len(all) >= maxSchedules {
			return s, false, newProblem(Conflict, "Too many schedules", "There are %d schedules; delete some first.", len(all))
		}
		var old Schedule
		var was Value
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
			s.NextAt = old.NextAt // it may be due this moment
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
		if errors.Is(err, ErrConflict) {
			continue // it has changed meanwhile: look again
		}
		if err != nil {
			return s, false, e.unavailable(err)
		}
		if !s.NextAt.IsZero() {
			e.ticking.by(s.NextAt)
		}
		return s, was == nil, nil
	}
}

// within is a problem of a document that is a member of another one.
func within(pointer string, p *Problem) *Problem {
	inner := *p
	inner.Errors = slices.Clone(p.Errors)
	for i := range inner.Errors {
		inner.Errors[i].Pointer = pointer + inner.Errors[i].Pointer
	}
	return &inner
}

func noSchedule(name string) error {
	return newProblem(NotFound, "Not found", "There is no schedule %s; a name is "+NameRule, name)
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
	list, err := e.Schedules(ctx, tenant)
	if err != nil {
		return Schedule{}, err
	}
	if i := slices.IndexFunc(list, func(s Schedule) bool { return s.Name == name }); i >= 0 {
		return list[i], nil
	}
	return Schedule{}, noSchedule(name)
}

// DeleteSchedule forgets a schedule; the jobs it has submitted stay.
func (e *Engine) DeleteSchedule(ctx context.Context, tenant, name string) error {
	for {
		all, err := e.store.Documents(ctx, tenant, kindSchedule)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(all, func(d Document) bool { return d.Name == name })
		if i < 0 {
			return noSchedule(name)
		}
		o := newOp(&Change{})
		o.doc = &DocumentChange{Document: Document{Tenant: tenant, Kind: kindSchedule, Name: name}, Was: all[i].Data}
		if err = e.commits.do(ctx, o); err == nil {
			return nil
		}
		if !errors.Is(err, ErrConflict) {
			return e.unavailable(err)
		}
	}
}

// document is the schedule as it is to be stored, where was is stored.
func (s *Schedule) document(tenant string, was Value) (*DocumentChange, error) {
	data, err := json.Marshal(s, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, fmt.Errorf("writing the schedule %s: %w", s.Name, err)
	}
	return &DocumentChange{Document: Document{Tenant: tenant, Kind: kindSchedule, Name: s.Name, Data: data}, Was: was}, nil
}

func (s *Schedule) change(tenant string, was Value) (*op, error) {
	doc, err := s.document(tenant, was)
	if err != nil {
		return nil, err
	}
	o := newOp(&Change{})
	o.doc = doc
	o.bytes += len(doc.Data)
	return o, nil
}

// fireDue submits the jobs of all schedules whose time has come, and returns when the next
// one is.
func (e *Engine) fireDue(ctx context.Context) (next time.Time) {
	for {
		now := time.Now()
		all, err := e.store.Documents(ctx, "", kindSchedule)
		if err != nil {
			if ctx.Err() == nil {
				e.log.Error("looking for schedules", "error", err)
			}
			return now.Add(time.Second)
		}
		next = now.Add(glance)
		var fired []*tick
		active := false
		for _, d := range all {
			s, err := decodeSchedule(d)
			switch {
			case err != nil:
				e.log.Error("reading a schedule", "error", err)
			case s.NextAt.IsZero():
			case s.NextAt.After(now):
				active, next = true, earlier(next, s.NextAt)
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
		if !e.fire(ctx, now, fired) {
			return now.Add(time.Second)
		}
	}
}

// tick is a schedule whose time has come.
type tick struct {
	Schedule
	tenant string
	was    Value
	op     *op
	told   []*Change // of runs that it replaces
}

// prepare makes the op that submits the job of a schedule and notes that in it.
func (e *Engine) prepare(t *tick, now time.Time) error {
	if err := e.allowed(t.tenant, t.Caller); err != nil {
		return err
	}
	spec, err := t.spec(t.tenant)
	if err != nil {
		return err
	}
	job, err := e.newJob(spec)
	if err == nil {
		err = e.mention(&spec)
	}
	if err != nil {
		return err
	}
	fired := t.Schedule
	fired.LastAt, fired.LastJob, fired.LastError = now.Truncate(time.Millisecond).UTC(), job.ID, nil
	doc, err := fired.document(t.tenant, t.was)
	if err != nil {
		return err
	}
	c := e.insertion(job, spec)
	c.With = doc
	e.overlapping(t, c)
	t.op = newOp(c)
	return nil
}

// fire submits the jobs of schedules, together. It returns false if that was not possible
// and has to be tried again.
func (e *Engine) fire(ctx context.Context, now time.Time, due []*tick) (done bool) {
	all := len(due)
	for _, t := range due {
		next, err := t.Schedule.tick(now)
		if err != nil { // zones may have gone with an update of the machine
			e.log.Error("a schedule can't go on and is paused", "schedule", t.Name, "error", err)
			t.Paused = true
		}
		if t.NextAt = next; t.Paused {
			t.NextAt = time.Time{}
			e.refuse(t, err)
			continue
		}
		bad := e.guarded("the job of a schedule", ID{}, func() { err = e.prepare(t, now) })
		if err = cmp.Or(bad, err); err != nil {
			e.refuse(t, err)
		}
	}
	due = slices.DeleteFunc(due, func(t *tick) bool { return t.op == nil })
	if !e.handIn(ctx, due) {
		return false
	}
	done = true
	for _, t := range due {
		err := t.op.wait()
		if off, ok := errors.AsType[*putOff](err); ok {
			e.log.Info("a schedule waits for an earlier run", "schedule", t.Name, "error", err)
			for _, id := range off.cancel {
				if _, _, err := e.Cancel(ctx, t.tenant, id); err != nil && !gone(err) {
					return false
				}
			}
			done = false
			continue
		}
		switch {
		case err == nil:
			e.tellReplaced(t)
		case err == errSkipped:
			t.SkippedAt, t.LastError = now.Truncate(time.Millisecond).UTC(), nil
			if t.op, err = t.change(t.tenant, t.was); err == nil {
				err = e.commits.do(ctx, t.op)
			}
		case t.op.doc == nil && refused(err):
			e.log.Warn("a schedule's job was refused; its next chance is the next tick", "schedule", t.Name, "error", err)
			if e.refuse(t, err); t.op == nil {
				continue
			}
			err = e.commits.do(ctx, t.op)
		}
		if err != nil && err != error(ErrConflict) { // else it was changed or fired elsewhere
			return false
		}
	}
	return done && len(due) == all
}

func (e *Engine) handIn(ctx context.Context, due []*tick) bool {
	for _, t := range due {
		if err := e.commits.put(ctx, t.op); err != nil {
			return false
		}
	}
	return true
}

// refuse makes the tick end without a job. Without an op if that can't be written down.
func (e *Engine) refuse(t *tick, err error) {
	p, ok := errors.AsType[*Problem](err)
	if existing, same := errors.AsType[*Existing](err); same {
		p = existing.problem()
	} else if !ok {
		p = newProblem(Internal, "Not submitted", "%s", err)
	}
	t.LastError = p
	if t.op, err = t.change(t.tenant, t.was); err != nil {
		e.log.Error("a schedule can't be kept", "schedule", t.Name, "error", err)
	}
}

// refused reports whether a submission will not be taken as it is, or not now, by a store
// that works.
func refused(err error) bool {
	_, unknown := errors.AsType[*UnknownParent](err)
	_, existing := errors.AsType[*Existing](err)
	return unknown || existing || errors.Is(err, ErrQueueFull) || errors.Is(err, ErrConflict) && err != error(ErrConflict)
}
