package web

import (
	"context"
	"errors"
	"slices"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/view"
)

// watchersPause is after how long the page of an unfinished job looks again who watches.
const watchersPause = 5 * time.Second

// jobMemory is what the live view of a job knows from one rendering to the next: its way
// so far, so that each event is read once.
type jobMemory struct {
	at  uint64 // seq of the newest event in it
	way view.Way
}

// renderJob renders the live parts of a job's page.
func (s *Server) renderJob(ctx context.Context, tenant string, id jobs.ID, last any) (out hub.Rendered, err error) {
	memory, _ := last.(*jobMemory)
	m, _, memory, err := s.jobModel(ctx, tenant, id, memory)
	if err != nil {
		return out, err
	}
	out.Filter = hub.Filter{Tenant: tenant, Job: id}
	if !m.Job.State.Final() {
		out.Again = watchersPause
	}
	out.Memory = memory
	out.Fragments, err = draw(ctx, view.JobFragments(m))
	return out, err
}

// jobModel reads a job, and of its way what is not in memory yet.
func (s *Server) jobModel(ctx context.Context, tenant string, id jobs.ID, memory *jobMemory) (view.JobModel, jobs.Position, *jobMemory, error) {
	job, pos, err := s.Store.Job(ctx, tenant, id)
	if err != nil {
		return view.JobModel{}, pos, memory, err
	}
	if memory, err = s.extend(ctx, job, memory); err != nil {
		return view.JobModel{}, pos, memory, err
	}
	m := view.JobModel{Job: job, Way: memory.way, At: time.Now(), Origin: s.Origin}
	m.Watchers = s.Hub.Watchers(hub.Filter{Tenant: tenant, Job: id}) + s.Hub.Viewers(viewName(tenant, jobViewPrefix+id.String()))
	return m, pos, memory, nil
}

// extend reads the events that memory lacks.
func (s *Server) extend(ctx context.Context, job jobs.Job, memory *jobMemory) (*jobMemory, error) {
	if memory != nil {
		events, err := s.Store.Read(ctx, jobs.ReadQuery{Job: job.ID, After: memory.at})
		if err == nil {
			memory.add(events)
			return memory, nil
		}
		if !errors.Is(err, jobs.ErrTrimmed) {
			return memory, err
		}
	}
	events, cut, err := s.history(ctx, job)
	memory = &jobMemory{way: view.Way{Cut: cut}}
	memory.add(events)
	return memory, err
}

func (m *jobMemory) add(events []*jobs.Event) {
	if len(events) > 0 {
		m.at = events[len(events)-1].Seq
		m.way.Add(slices.Values(events))
	}
}
