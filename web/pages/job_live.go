package pages

import (
	"context"
	"errors"
	"slices"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/rest"
	"jobhub/web/view"
)

const mostChildren = 20

// jobMemory is what the live view of a job keeps from one rendering to the next: its history
// so far, so that each event is read once.
type jobMemory struct {
	at  uint64 // seq of the newest event in it
	way view.Way
}

func (s jobPages) findJob(ctx context.Context, tenant, of string) error {
	id, err := rest.ParseID(of)
	if err == nil {
		_, _, err = s.Store.Job(ctx, tenant, id)
	}
	return err
}

// renderJob renders the live parts of a job's page.
func (s jobPages) renderJob(ctx context.Context, tenant, of string, last any) (out hub.Rendered, err error) {
	id, err := rest.ParseID(of)
	if err != nil {
		return out, err
	}
	memory, _ := last.(*jobMemory)
	if memory == nil {
		memory = &jobMemory{}
	}
	m, _, err := s.jobModel(ctx, tenant, id, memory)
	if err != nil {
		return out, err
	}
	pace := onEvents
	if !m.Job.State.Final() || slices.ContainsFunc(m.Children, func(j jobs.Job) bool { return !j.State.Final() }) {
		pace = everyBucket // its watchers and its child jobs change without an event of this job
	}
	out, err = rendered(ctx, on(hub.Filter{Tenant: tenant, Job: id}), pace, view.JobFragments(m))
	out.Memory = memory
	return out, err
}

// jobModel reads a job, and the part of its history that is not in memory yet.
func (s jobPages) jobModel(ctx context.Context, tenant string, id jobs.ID, memory *jobMemory) (view.JobModel, jobs.Position, error) {
	job, pos, err := s.Store.Job(ctx, tenant, id)
	if err == nil {
		err = s.extend(ctx, id, memory)
	}
	if err != nil {
		return view.JobModel{}, pos, err
	}
	m := view.JobModel{Job: job, Way: memory.way, At: time.Now(), Origin: s.Origin}
	m.Watchers = s.Hub.Watchers(hub.Filter{Tenant: tenant, Job: id}) + s.Hub.Viewers(hub.ViewKey{Tenant: tenant, Page: "job", Of: id.String()})
	if job.State == jobs.Running {
		for _, w := range s.Engine.Workers.List(tenant) {
			if slices.Contains(workerOf(w).Running, id) {
				m.Worker = w.Name
			}
		}
	}
	m.Held = s.held(job)
	children, err := s.Store.List(ctx, jobs.Filter{Tenant: tenant, Parent: id, Limit: mostChildren})
	m.Children, m.MoreChildren = children.Jobs, children.Next > 0
	return m, pos, err
}

// extend reads the events that memory lacks.
func (s jobPages) extend(ctx context.Context, id jobs.ID, memory *jobMemory) error {
	if memory.at > 0 {
		events, err := s.Store.Read(ctx, jobs.ReadQuery{Job: id, After: memory.at})
		if !errors.Is(err, jobs.ErrTrimmed) {
			memory.add(events)
			return err
		}
		*memory = jobMemory{}
	}
	cut, err := s.eachPiece(ctx, id, func(events []*jobs.Event) error { memory.add(events); return nil })
	memory.way.Cut = cut
	return err
}

func (m *jobMemory) add(events []*jobs.Event) {
	if len(events) > 0 {
		m.at = events[len(events)-1].Seq
		m.way.Add(slices.Values(events))
	}
}

// held returns what keeps a queued job from starting, besides the jobs before it.
func (s jobPages) held(job jobs.Job) string {
	if job.State != jobs.Queued {
		return ""
	}
	if pause := s.Engine.Queues.Settings(job.Tenant, job.Queue).Paused; pause != nil {
		return "its queue is paused " + view.PausedBy(pause)
	}
	if own, _, _ := s.Engine.Handlers(); slices.Contains(own, job.Kind) {
		return ""
	}
	for _, w := range s.Engine.Workers.List(job.Tenant) {
		if serves(w, job.Queue) && slices.Contains(w.Kinds, job.Kind) {
			return ""
		}
	}
	return "no worker takes " + job.Kind
}
