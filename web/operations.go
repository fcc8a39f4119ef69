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

// The pages for operators, as views; their models are read in this file.
const (
	wallView        = "wall"
	queuesView      = "queues"
	queueViewPrefix = "queue:"
	workersView     = "workers"
	hubView         = "hub"
)

const (
	failuresShown = 8
	workersPause  = time.Second // between looks at what tells no event
	hubPause      = 500 * time.Millisecond
)

// operationView reports whether there is such a view for operators.
func (s *Server) operationView(name string) bool {
	if queue, ok := strings.CutPrefix(name, queueViewPrefix); ok {
		return jobs.WellFormedName(queue)
	}
	return name == wallView || name == queuesView || name == workersView || name == hubView
}

// drawOperation draws one of them: by which events it changes, and after what time without.
func (s *Server) drawOperation(ctx context.Context, tenant, name string) (f hub.Filter, again time.Duration, parts []view.Fragment, err error) {
	f = hub.Filter{Tenant: tenant, All: true}
	switch name {
	case wallView:
		model, _, err := s.overview(ctx, tenant)
		if busy(model) {
			again = hub.BucketWidth
		}
		return f, again, view.WallFragments(model), err
	case queuesView:
		model, _, err := s.queuesModel(ctx, tenant)
		if busy(view.Overview{Queues: model.Queues}) {
			again = hub.BucketWidth
		}
		return f, again, view.QueuesFragments(model), err
	case workersView:
		return f, workersPause, view.WorkersFragments(s.workersModel(tenant)), nil
	case hubView:
		model, err := s.hubModel(tenant)
		return hub.Filter{}, hubPause, view.HubFragments(model), err
	}
	queue := strings.TrimPrefix(name, queueViewPrefix)
	model, _, err := s.queueModel(ctx, tenant, queue)
	return hub.Filter{Tenant: tenant, Queue: queue}, workersPause, view.QueueFragments(model), err
}

// times are the latencies of a tenant's jobs, a point for each half minute.
func (s *Server) times(tenant string, now time.Time) view.Times {
	const merge = 6
	t := view.Times{End: now, Step: merge * hub.BucketWidth}
	for _, q := range s.Hub.Times.Series(tenant, merge, now) {
		t.Points = append(t.Points, view.Quantiles(q))
	}
	return t
}

func (s *Server) queueOf(q jobs.QueueInfo, now time.Time) view.Queue {
	buckets := s.Hub.Meter.Series(q.Tenant, q.Name, now)
	rates := view.Rates(hub.RatesOf(buckets))
	return view.Queue{QueueInfo: q, Paused: q.Settings.Paused != nil, Rates: &rates, Series: series(buckets, now)}
}

func (s *Server) queuesModel(ctx context.Context, tenant string) (view.QueuesModel, jobs.Position, error) {
	now := time.Now()
	m := view.QueuesModel{At: now, Origin: s.Origin}
	queues, pos, err := s.Store.Queues(ctx, tenant)
	for _, q := range queues {
		m.Queues = append(m.Queues, s.queueOf(q, now))
	}
	return m, pos, err
}

func (s *Server) queueModel(ctx context.Context, tenant, name string) (view.QueueModel, jobs.Position, error) {
	now := time.Now()
	m := view.QueueModel{At: now, Watchers: s.Hub.Watchers(hub.Filter{Tenant: tenant, Queue: name})}
	queues, pos, err := s.Store.Queues(ctx, tenant)
	if err != nil {
		return m, pos, err
	}
	at := slices.IndexFunc(queues, func(q jobs.QueueInfo) bool { return q.Name == name })
	if at < 0 {
		return m, pos, jobs.NewProblem(jobs.NotFound, "No such queue", "There is no queue %s; it comes into being with its first job or limit.", name)
	}
	m.Queue = s.queueOf(queues[at], now)
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

// workerOf leaves the leases out: they are their worker's secret.
func workerOf(w jobs.WorkerInfo) view.Worker {
	out := view.Worker{WorkerInfo: w}
	out.Tokens = nil
	for _, token := range w.Tokens {
		text, _, _ := strings.Cut(token, ".")
		if id, err := parseID(text); err == nil {
			out.Running = append(out.Running, id)
		}
	}
	slices.SortFunc(out.Running, func(a, b jobs.ID) int { return strings.Compare(a.String(), b.String()) })
	out.Seen = out.Seen.Truncate(time.Second) // so that a beat that tells nothing new changes little
	return out
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

// hubModel is the hub from inside, and the connections of a tenant.
func (s *Server) hubModel(tenant string) (view.HubModel, error) {
	m := view.HubModel{At: time.Now(), Seq: s.Hub.Position().Seq, Merged: s.Hub.Stats.Merged.Load(), Events: s.Hub.Stats.Events.Load()}
	if err := s.Live.tell(&m); err != nil {
		return m, err
	}
	all := s.Connections()
	m.Open = len(all)
	for _, c := range all {
		if c.Tenant == tenant || c.Tenant == "" {
			m.Conns = append(m.Conns, view.Connection{ID: c.ID, Remote: c.Remote, Who: cmp.Or(c.Name, "unknown"), Since: c.Since, Seq: c.Seq, Lag: c.Lag, Watches: c.Watches})
		}
	}
	slices.SortFunc(m.Conns, func(a, b view.Connection) int {
		return cmp.Or(cmp.Compare(b.Lag, a.Lag), a.Since.Compare(b.Since), strings.Compare(a.ID, b.ID))
	})
	m.Conns = m.Conns[:min(len(m.Conns), view.MaxConnections)]
	return m, nil
}
