// Package schedule has the rules of a schedule: when its ticks are, what it submits, and how
// it is stored. Package engine keeps the schedules and fires them.
package schedule

import (
	"fmt"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/jobs"
	"jobhub/jobs/cron"
)

// Schedule submits a job at each of its times, the ticks. The job and the schedule's new
// times are stored in one commit, which fails if the schedule has changed meanwhile: there is
// one job per tick, however many engines and restarts there are. All ticks that were missed
// are replaced by one job. A tick is skipped if its job is refused, for example by a full
// queue, or if its caller may not act any more.
type Schedule struct {
	Name      string        `json:"-"`
	Cron      string        `json:"cron"`
	TimeZone  string        `json:"time_zone"` // IANA name; UTC if empty
	Job       jobs.Value    `json:"job"`       // a submission; its hidden parts are in Credentials
	Paused    bool          `json:"paused"`
	Overlap   string        `json:"overlap,omitzero"`  // one of Overlaps; allow if empty
	Caller    string        `json:"caller"`            // who submits the jobs, as in Spec.Caller
	NextAt    time.Time     `json:"next_at,omitzero"`  // zero while paused
	LastAt    time.Time     `json:"last_at,omitzero"`  // when it last submitted a job
	LastJob   jobs.ID       `json:"last_job,omitzero"` // which
	LastError *jobs.Problem `json:"last_error,omitzero"`
	SkippedAt time.Time     `json:"skipped_at,omitzero"` // when it last skipped a tick because of an unfinished run

	Credentials jobs.Credentials `json:"credentials,omitzero"`
}

// Kind is the kind of the documents that hold schedules.
const Kind = "schedule"

// Tag is on every job that the schedule of that name submits.
func Tag(name string) string { return "schedule:" + name }

// next is the first tick after t.
func (s *Schedule) next(t time.Time) (time.Time, error) {
	expr, err := cron.Parse(s.Cron)
	if err != nil {
		err = jobs.Invalid("/cron", "%s", err)
	}
	zone, unknown := time.LoadLocation(s.TimeZone)
	if unknown != nil || s.TimeZone == "Local" {
		unknown = jobs.Invalid("/time_zone", "must be a name like Europe/Berlin or UTC")
	}
	if err := jobs.JoinProblems(err, unknown); err != nil {
		return t, err
	}
	next := expr.Next(t.In(zone))
	if next.IsZero() {
		return t, jobs.Invalid("/cron", "names no time within nine years")
	}
	return next, nil
}

// Tick is the first tick after t, in UTC.
func (s *Schedule) Tick(t time.Time) (time.Time, error) {
	next, err := s.next(t)
	return next.UTC(), err
}

// Spec is what the schedule submits.
func (s *Schedule) Spec(tenant string) (jobs.Spec, error) {
	spec, err := jobs.DecodeSpec(s.Credentials.Join(s.Job))
	if err == nil && !spec.RunAt.IsZero() {
		err = jobs.Invalid("/run_at", "is set by the schedule; use delay to run the job later")
	}
	if err == nil && len(spec.Tags) >= jobs.MaxTags {
		err = jobs.Invalid("/tags", "at most %d tags, besides that of the schedule", jobs.MaxTags-1)
	}
	spec.Tenant, spec.Caller, spec.Tags, spec.ByEngine.Schedule = tenant, s.Caller, append(spec.Tags, Tag(s.Name)), s.Name
	if (s.Overlap == "queue" || s.Overlap == "replace") && spec.OrderingKey == "" {
		spec.OrderingKey = Tag(s.Name)
	}
	return spec, err
}

// Document is the change that stores the schedule; was is the stored document.
func (s *Schedule) Document(tenant string, was jobs.Value) (*jobs.DocumentChange, error) {
	data, err := json.Marshal(s, jsontext.AllowInvalidUTF8(true))
	if err != nil {
		return nil, fmt.Errorf("writing the schedule %s: %w", s.Name, err)
	}
	return &jobs.DocumentChange{Document: jobs.Document{Tenant: tenant, Kind: Kind, Name: s.Name, Data: data}, Was: was}, nil
}

// Overlaps are what a schedule can do at a tick while an earlier run of it is unfinished. A
// run is a job that the schedule submitted, or a retry of one.
//
//   - allow: submit the next one anyway.
//   - skip: submit none at this tick.
//   - queue: submit it; it starts when the earlier ones have ended.
//   - replace: cancel the earlier ones, and submit it; it starts when they have ended.
//
// Where runs wait for one another, their jobs have an ordering key: that of the schedule's
// job, or else the tag of the schedule.
var Overlaps = []string{"allow", "skip", "queue", "replace"}

// Check checks when the schedule submits jobs: its expression, time zone and overlap. Its job
// is checked by the engine, as a submission.
func (s *Schedule) Check() error {
	_, err := s.next(time.Now())
	if s.Overlap != "" && !slices.Contains(Overlaps, s.Overlap) {
		err = jobs.JoinProblems(err, jobs.Invalid("/overlap", "must be allow, skip, queue or replace"))
	}
	return err
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

// Words describes in English when the schedule submits jobs, without the time zone.
func (s *Schedule) Words() string {
	expr, err := cron.Parse(s.Cron)
	if err != nil { // not after it was checked
		return s.Cron
	}
	return expr.Words()
}
