package web

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"jobhub/jobs"
	"jobhub/web/view"
)

const (
	schedulesNamed = 3    // that failed
	lookups        = 100  // of last jobs that may still go on
	maxEndings     = 4096 // that are remembered
)

// endings remembers how jobs ended, which never changes.
type endings struct {
	mu  sync.Mutex // protects the field below
	end map[jobs.ID]ending
}

type ending struct {
	known bool
	state jobs.State // zero if the job is no longer kept
	why   string
	at    time.Time
}

// of is how a job ended; not known if it has not.
func (v *endings) of(ctx context.Context, store jobs.Store, tenant string, id jobs.ID) (ending, error) {
	v.mu.Lock()
	known, ok := v.end[id]
	v.mu.Unlock()
	if ok {
		return known, nil
	}
	job, _, err := store.Job(ctx, tenant, id)
	switch {
	case errors.Is(err, jobs.ErrNotFound) || errors.Is(err, jobs.ErrGone):
		known.known = true
	case err != nil || !job.State.Final():
		return ending{}, err
	default:
		known = ending{known: true, state: job.State, why: string(job.Reason), at: job.FinishedAt}
		if job.Error != nil {
			known.why = job.Error.Title
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.end == nil || len(v.end) >= maxEndings {
		v.end = map[jobs.ID]ending{}
	}
	v.end[id] = known
	return known, nil
}

// failingSchedules are the schedules whose last tick made no job, or whose last job failed.
func (s *Server) failingSchedules(ctx context.Context, tenant string) (out []view.Attention, err error) {
	all, err := s.Engine.Schedules(ctx, tenant)
	if err != nil {
		return nil, err
	}
	more, asked := 0, 0
	for _, one := range all {
		a := view.Attention{Level: view.Warning, Link: "/schedules/" + one.Name}
		switch {
		case one.LastError != nil:
			a.Text, a.Detail = "schedule "+one.Name+": its last tick made no job", one.LastError.Title
		case one.LastJob == (jobs.ID{}) || asked >= lookups:
			continue
		default:
			end, err := s.endings.of(ctx, s.Store, tenant, one.LastJob)
			if err != nil {
				return nil, err
			}
			if !end.known {
				asked++
			}
			if end.state != jobs.Failed {
				continue
			}
			if len(out) < schedulesNamed { // somebody may have repeated it since
				newest, err := s.Store.List(ctx, jobs.Filter{Tenant: tenant, Tag: jobs.ScheduleTag(one.Name), Limit: 1})
				if err != nil {
					return nil, err
				}
				if len(newest.Jobs) > 0 && newest.Jobs[0].State != jobs.Failed {
					continue
				}
			}
			a.Text, a.Detail, a.Since = "schedule "+one.Name+": its last run failed", end.why, end.at
		}
		if len(out) == schedulesNamed {
			more++
			continue
		}
		out = append(out, a)
	}
	if more > 0 {
		out = append(out, view.Attention{Level: view.Warning, Text: fmt.Sprintf("%s whose last run failed", view.Plural(int64(more), "schedule", "schedules")), Detail: "besides those above", Link: "/schedules"})
	}
	return out, nil
}

// disabledCallbacks are the callbacks of queues whose receivers are gone.
func disabledCallbacks(queues []view.Queue) (out []view.Attention) {
	more := 0
	for _, q := range queues {
		for _, c := range q.Settings.Callbacks {
			if !c.Disabled {
				continue
			}
			if len(out) == mostGroups {
				more++
				continue
			}
			out = append(out, view.Attention{Level: view.Warning, Text: q.Name + ": its callback to " + view.HostPath(c.URL) + " is disabled",
				Detail: "The receiver answered 410 Gone; nothing is sent until it is enabled", Since: c.DisabledAt, Link: "/callbacks"})
		}
	}
	if more > 0 {
		out = append(out, view.Attention{Level: view.Warning, Text: view.Plural(int64(more), "callback", "callbacks") + " disabled", Detail: "besides those above", Link: "/callbacks"})
	}
	return out
}
