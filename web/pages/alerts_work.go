package pages

import (
	"context"
	"fmt"

	"jobhub/jobs"
	"jobhub/jobs/schedule"
	"jobhub/web/view"
)

const schedulesNamed = 3 // that failed

// failingSchedules returns the schedules whose last tick submitted no job, or whose last job failed.
func (s *Server) failingSchedules(ctx context.Context, tenant string) ([]view.Attention, error) {
	return s.failing.Get(tenant, lookupAge, func() ([]view.Attention, error) { return s.lookForFailing(ctx, tenant) })
}

func (s *Server) lookForFailing(ctx context.Context, tenant string) (out []view.Attention, err error) {
	all, err := s.Engine.Schedules.List(ctx, tenant)
	if err != nil {
		return nil, err
	}
	last, err := s.lastFailures(ctx, tenant, all)
	if err != nil {
		return nil, err
	}
	more := 0
	for _, one := range all {
		a := view.Attention{Level: view.Warning, Link: "/schedules/" + one.Name}
		j, failed := last[one.LastJob]
		switch {
		case one.LastError != nil:
			a.Text, a.Detail = "schedule "+one.Name+": its last tick submitted no job", one.LastError.Title
		case !failed:
			continue
		default:
			if len(out) < schedulesNamed { // somebody may have repeated it since
				newest, err := s.Store.List(ctx, jobs.Filter{Tenant: tenant, Tag: schedule.Tag(one.Name), Limit: 1})
				if err != nil {
					return nil, err
				}
				if len(newest.Jobs) > 0 && newest.Jobs[0].State != jobs.Failed {
					continue
				}
			}
			a.Text, a.Detail, a.Since = "schedule "+one.Name+": its last run failed", string(j.Reason), j.FinishedAt
			if j.Error != nil {
				a.Detail = j.Error.Title
			}
		}
		if len(out) == schedulesNamed {
			more++
			continue
		}
		out = append(out, a)
	}
	if more > 0 {
		out = append(out, view.Attention{Level: view.Warning, Text: fmt.Sprintf("%s whose last run failed", view.Plural(int64(more), "schedule", "schedules")), Detail: "in addition to those above", Link: "/schedules"})
	}
	return out, nil
}

// lastFailures returns the last jobs of schedules, where these failed.
func (s *Server) lastFailures(ctx context.Context, tenant string, all []schedule.Schedule) (map[jobs.ID]jobs.Job, error) {
	var ids []jobs.ID
	for _, one := range all {
		if one.LastJob != (jobs.ID{}) {
			ids = append(ids, one.LastJob)
		}
	}
	failed := map[jobs.ID]jobs.Job{}
	if len(ids) == 0 {
		return failed, nil
	}
	page, err := s.Store.List(ctx, jobs.Filter{Tenant: tenant, IDs: ids, States: []jobs.State{jobs.Failed}, Limit: len(ids)})
	for _, j := range page.Jobs {
		failed[j.ID] = j
	}
	return failed, err
}

// disabledCallbacks returns the callbacks of queues whose receivers answered 410 Gone.
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
		out = append(out, view.Attention{Level: view.Warning, Text: view.Plural(int64(more), "callback", "callbacks") + " disabled", Detail: "in addition to those above", Link: "/callbacks"})
	}
	return out
}
