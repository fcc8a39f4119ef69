package web

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/view"
)

const (
	failuresShown = 8
	queuesShown   = 100         // on a page
	workersPause  = time.Second // between looks at what tells no event
	hubPause      = 500 * time.Millisecond
)

// everything is what changes the views of all queues.
func everything(tenant string) hub.Filter { return hub.Filter{Tenant: tenant, All: true} }

// whileBusy is when a view of queues is to be drawn again without an event.
func whileBusy(o view.Overview) time.Duration {
	if busy(o) {
		return hub.BucketWidth
	}
	return 0
}

func (s *Server) drawWall(ctx context.Context, tenant, _ string, _ any) (hub.Rendered, error) {
	reach, _ := view.RangeOf("")
	model, _, err := s.overview(ctx, tenant, reach)
	if err != nil {
		return hub.Rendered{}, err
	}
	return rendered(ctx, everything(tenant), whileBusy(model), view.WallFragments(model))
}

// findQueues reports whether a page of queues can begin behind a name.
func findQueues(_ context.Context, _, after string) error {
	if len(after) > maxQueueName {
		return noView("queues:" + after)
	}
	return nil
}

func (s *Server) drawQueues(ctx context.Context, tenant, after string, _ any) (hub.Rendered, error) {
	model, _, err := s.queuesModel(ctx, tenant, after)
	if err != nil {
		return hub.Rendered{}, err
	}
	return rendered(ctx, everything(tenant), whileBusy(view.Overview{Queues: model.Queues}), view.QueuesFragments(model))
}

func (s *Server) findQueue(ctx context.Context, tenant, name string) error {
	_, _, err := s.queueNamed(ctx, tenant, name)
	return err
}

func (s *Server) drawQueue(ctx context.Context, tenant, name string, _ any) (hub.Rendered, error) {
	model, _, err := s.queueModel(ctx, tenant, name)
	if err != nil {
		return hub.Rendered{}, err
	}
	return rendered(ctx, hub.Filter{Tenant: tenant, Queue: name}, workersPause, view.QueueFragments(model))
}

func (s *Server) drawWorkers(ctx context.Context, tenant, _ string, _ any) (hub.Rendered, error) {
	return rendered(ctx, everything(tenant), workersPause, view.WorkersFragments(s.workersModel(tenant)))
}

func (s *Server) drawHub(ctx context.Context, _, _ string, _ any) (hub.Rendered, error) {
	model, err := s.hubModel()
	if err != nil {
		return hub.Rendered{}, err
	}
	return rendered(ctx, hub.Filter{}, hubPause, view.HubFragments(model))
}

// charts are what ended in a range, and how long it took, of all jobs of a tenant.
func (s *Server) charts(tenant string, reach view.Range, now time.Time) (view.Series, view.Times) {
	of, merge := hub.Fine, 6 // buckets in a step of the latencies
	switch {
	case reach.Span > time.Hour:
		of, merge = hub.Quarters, 2
	case reach.Span > 15*time.Minute:
		of, merge = hub.Minutes, 2
	case reach.Span < 15*time.Minute:
		merge = 2
	}
	ended := s.series(tenant, "", of, now)
	ended.Most = reach.Span
	return ended, timesOf(s.Hub.Latencies.Series(tenant, of, merge, now), time.Duration(merge)*of.Width(), now)
}

func timesOf(all []hub.Quantiles, step time.Duration, now time.Time) view.Times {
	t := view.Times{End: now, Step: step, Points: make([]view.Quantiles, len(all))}
	for i, q := range all {
		t.Points[i] = view.Quantiles(q)
	}
	return t
}

func (s *Server) queueOf(q jobs.QueueInfo, now time.Time) view.Queue {
	out := view.Queue{QueueInfo: q, Paused: q.Settings.Paused != nil}
	buckets := s.Hub.Meter.Series(q.Tenant, q.Name, hub.Fine, now)
	if rates, known := hub.RatesOf(buckets); known {
		out.Rates, out.Series = (*view.Rates)(&rates), seriesOf(buckets, hub.BucketWidth, now)
	}
	return out
}

func (s *Server) queuesModel(ctx context.Context, tenant, after string) (view.QueuesModel, jobs.Position, error) {
	now := time.Now()
	m := view.QueuesModel{Origin: s.Origin, After: after}
	queues, pos, err := s.Store.Queues(ctx, tenant)
	m.All = len(queues)
	queues, m.Next = pageOfQueues(queues, after, queuesShown)
	for _, q := range queues {
		m.Queues = append(m.Queues, s.queueOf(q, now))
	}
	return m, pos, err
}

// pageOfQueues is the first of some queues, by name, behind a name, and behind which the
// next page begins; empty if there is none.
func pageOfQueues(all []jobs.QueueInfo, after string, most int) (page []jobs.QueueInfo, next string) {
	from, _ := slices.BinarySearchFunc(all, after, func(q jobs.QueueInfo, name string) int {
		return cmp.Or(strings.Compare(q.Name, name), -1)
	})
	if page = all[from:]; len(page) > most {
		page = page[:most]
		next = page[most-1].Name
	}
	return page, next
}

// queueNamed is a queue that exists, as of a position.
func (s *Server) queueNamed(ctx context.Context, tenant, name string) (jobs.QueueInfo, jobs.Position, error) {
	queues, pos, err := s.Store.Queues(ctx, tenant)
	if err != nil {
		return jobs.QueueInfo{}, pos, err
	}
	at := slices.IndexFunc(queues, func(q jobs.QueueInfo) bool { return q.Name == name })
	if at < 0 {
		return jobs.QueueInfo{}, pos, jobs.NewProblem(jobs.NotFound, "No such queue", "There is no queue %s; it comes into being with its first job or limit.", name)
	}
	return queues[at], pos, nil
}

func (s *Server) queueModel(ctx context.Context, tenant, name string) (view.QueueModel, jobs.Position, error) {
	now := time.Now()
	m := view.QueueModel{Watchers: s.Hub.Watchers(hub.Filter{Tenant: tenant, Queue: name})}
	queue, pos, err := s.queueNamed(ctx, tenant, name)
	if err != nil {
		return m, pos, err
	}
	m.Queue = s.queueOf(queue, now)
	m.Times = timesOf(s.Hub.Latencies.OfQueue(tenant, name, now), time.Minute, now)
	failed, err := s.Store.List(ctx, jobs.Filter{Tenant: tenant, Queue: name, States: []jobs.State{jobs.Failed}, Limit: failuresShown})
	if err != nil {
		return m, pos, err
	}
	m.Failures = failed.Jobs
	m.Kinds, _, _ = s.Engine.Handlers()
	for _, w := range s.Engine.Workers(tenant) {
		if serves(w, name) {
			m.Workers = append(m.Workers, workerOf(w))
		}
	}
	return m, pos, nil
}

func workerOf(w jobs.WorkerInfo) view.Worker {
	w.Seen = w.Seen.Truncate(time.Second) // so that a beat that tells nothing new changes little
	return view.Worker{WorkerInfo: w}
}

func (s *Server) workersModel(tenant string) view.WorkersModel {
	m := view.WorkersModel{At: time.Now(), Origin: s.Origin, Lease: s.Engine.LeaseTime()}
	m.Kinds, m.Slots, m.Busy = s.Engine.Handlers()
	for _, w := range s.Engine.Workers(tenant) {
		m.Workers = append(m.Workers, workerOf(w))
	}
	slices.SortStableFunc(m.Workers, func(a, b view.Worker) int { return cmp.Compare(a.Name, b.Name) })
	return m
}

// hubModel is the hub from inside.
func (s *Server) hubModel() (view.HubModel, error) {
	m := view.HubModel{Seq: s.Hub.Position().Seq, Merged: s.Hub.Stats.Merged.Load(), Events: s.Hub.Stats.Events.Load(), Rescued: s.Engine.LostLeases()}
	if err := s.Live.tell(&m); err != nil {
		return m, err
	}
	all := s.Connections()
	m.Open = len(all)
	for _, c := range all {
		who := cmp.Or(c.Name, "unknown")
		if c.Tenant != "" && c.Tenant != jobs.DefaultTenant {
			who += " of " + c.Tenant
		}
		m.Conns = append(m.Conns, view.Connection{ID: c.ID, Remote: c.Remote, Who: who, Since: c.Since, Seq: c.Seq, Lag: c.Lag, Watches: c.Watches})
	}
	slices.SortFunc(m.Conns, func(a, b view.Connection) int {
		return cmp.Or(cmp.Compare(b.Lag, a.Lag), a.Since.Compare(b.Since), strings.Compare(a.ID, b.ID))
	})
	m.Conns = m.Conns[:min(len(m.Conns), view.MaxConnections)]
	return m, nil
}
