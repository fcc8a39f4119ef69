package pages

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/api"
	"jobhub/web/rest"
	"jobhub/web/view"
)

const (
	failuresShown = 8
	queuesShown   = 100 // on a page
)

// findQueues returns an error unless a page of queues can begin after this name.
func findQueues(_ context.Context, _, after string) error {
	if len(after) > rest.MaxQueueName {
		return noView("queues:" + after)
	}
	return nil
}

func (s queuePages) drawQueues(ctx context.Context, tenant, after string, _ any) (hub.Rendered, error) {
	model, _, err := s.queuesModel(ctx, tenant, after)
	if err != nil {
		return hub.Rendered{}, err
	}
	return rendered(ctx, onAll(tenant, jobs.Notice{Tenant: tenant, Subject: jobs.SettingsChanged}), whileBusy(view.Overview{Queues: model.Queues}), view.QueuesFragments(model))
}

func (s queuePages) findQueue(ctx context.Context, tenant, name string) error {
	_, _, err := s.API.FindQueue(ctx, tenant, name)
	return err
}

func (s queuePages) drawQueue(ctx context.Context, tenant, name string, _ any) (hub.Rendered, error) {
	model, _, err := s.queueModel(ctx, tenant, name)
	if err != nil {
		return hub.Rendered{}, err
	}
	causes := hub.Causes{Filters: []hub.Filter{{Tenant: tenant, Queue: name}}, Notices: []jobs.Notice{{Tenant: tenant, Subject: jobs.SettingsChanged},
		{Tenant: tenant, Subject: jobs.WorkersChanged}, {Subject: jobs.WatchersChanged}}}
	return rendered(ctx, causes, whileBusy(view.Overview{Queues: []view.Queue{model.Queue}}), view.QueueFragments(model))
}

func (s queuePages) drawWorkers(ctx context.Context, tenant, _ string, _ any) (hub.Rendered, error) {
	m := s.workersModel(tenant)
	pace := hub.Pace{Min: time.Second}
	if next := m.NextLate(); !next.IsZero() {
		pace.Max = max(time.Until(next), time.Second)
	}
	causes := hub.Causes{Notices: []jobs.Notice{{Tenant: tenant, Subject: jobs.WorkersChanged}, {Subject: jobs.HandlersChanged}}}
	return rendered(ctx, causes, pace, view.WorkersFragments(m))
}

func (s queuePages) drawHub(ctx context.Context, _, _ string, _ any) (hub.Rendered, error) {
	m := s.hubModel()
	pace := hub.Pace{Min: time.Second / 2, Again: time.Second} // connections follow the log a little later
	if slices.ContainsFunc(m.Conns, func(c view.Connection) bool { return c.Lag > 0 }) {
		pace.Max = time.Second / 2
	}
	causes := hub.Causes{Notices: []jobs.Notice{{Subject: jobs.LogChanged}, {Subject: jobs.WatchersChanged}}}
	return rendered(ctx, causes, pace, view.HubFragments(m))
}

func (s queuePages) queuesModel(ctx context.Context, tenant, after string) (view.QueuesModel, jobs.Position, error) {
	now := time.Now()
	m := view.QueuesModel{Origin: s.Origin, After: after}
	queues, pos, err := s.Store.Queues(ctx, tenant)
	m.All = len(queues)
	queues, m.Next = api.QueuesPage(queues, after, queuesShown)
	for _, q := range queues {
		m.Queues = append(m.Queues, s.queueOf(q, now))
	}
	return m, pos, err
}

func (s queuePages) queueModel(ctx context.Context, tenant, name string) (view.QueueModel, jobs.Position, error) {
	now := time.Now()
	m := view.QueueModel{Watchers: s.Hub.Watchers(hub.Filter{Tenant: tenant, Queue: name})}
	queue, pos, err := s.API.FindQueue(ctx, tenant, name)
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
	for _, w := range s.Engine.Workers.List(tenant) {
		if serves(w, name) {
			m.Workers = append(m.Workers, workerOf(w))
		}
	}
	return m, pos, nil
}

func (s queuePages) workersModel(tenant string) view.WorkersModel {
	m := view.WorkersModel{At: time.Now(), Origin: s.Origin, Lease: s.Engine.Workers.LeaseTime()}
	m.Kinds, m.Slots, m.Busy = s.Engine.Handlers()
	for _, w := range s.Engine.Workers.List(tenant) {
		m.Workers = append(m.Workers, workerOf(w))
	}
	slices.SortStableFunc(m.Workers, func(a, b view.Worker) int { return cmp.Compare(a.Name, b.Name) })
	return m
}

// hubModel is the model of the page of the hub.
func (s queuePages) hubModel() view.HubModel {
	counts := s.Live.Counts()
	m := view.HubModel{Seq: s.Hub.Position().Seq, Merged: s.Hub.Stats.Merged.Load(), Events: s.Hub.Stats.Events.Load(), Rescued: s.Engine.Workers.LostLeases(),
		Sent: counts.Events, Gaps: counts.Gaps, Opened: tallies(counts.Opened), Closes: tallies(counts.Closes), Resumes: tallies(counts.Resumes)}
	for _, d := range counts.Delays {
		m.Delays = append(m.Delays, view.Delay(d))
	}
	all := s.Live.Connections()
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
	return m
}

// tallies are counts by name.
func tallies(counts map[string]int64) (all []view.Tally) {
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		all = append(all, view.Tally{Name: name, N: counts[name]})
	}
	return all
}
