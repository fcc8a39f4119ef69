package pages

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/web/view"
)

const (
	longWait      = 30 * time.Second
	attentionSpan = 5 * time.Minute
	few           = 3     // failures below this number are normal
	seldom, often = 20, 2 // one failure in this many finished jobs
	slowLag       = 5 * time.Second
	looked        = 100 // number of newest failures, or of queued jobs, that are read
	mostGroups    = 3
)

// attention returns what a person should look at, the most urgent first: queues with many
// failures, queues where nothing moves, which refuse jobs, or which somebody paused; the
// kinds and upstreams that fail most; schedules that fail; callbacks that are disabled;
// connections that are slow to read events; and a configuration file with errors.
func (s *Server) attention(ctx context.Context, tenant string, queues []view.Queue, now time.Time) (out []view.Attention, err error) {
	failing := false
	consumers := s.consumers(tenant)
	for _, q := range queues {
		if done, failed := endedLately(q); failed > 0 {
			failing = true
			if ended := done + failed; failed >= few && failed*seldom >= ended {
				level := view.Warning
				if failed*often >= ended {
					level = view.Failure
				}
				out = append(out, view.Attention{Level: level, Text: fmt.Sprintf("%s: %d of %d jobs failed", q.Name, failed, ended),
					Detail: "in the last five minutes", Link: "/queues/" + q.Name, Do: view.Action{Label: "Show failed", Path: "/jobs?state=failed&queue=" + q.Name}})
			}
		}
		a, err := s.stuck(ctx, tenant, q, consumers, now)
		if err != nil {
			return nil, err
		}
		out = append(out, a...)
	}
	if failing {
		groups, err := s.failures(ctx, tenant, now)
		if err != nil {
			return nil, err
		}
		out = append(out, groups...)
	}
	upstreams, err := s.routes.routeAttention(ctx, tenant, now)
	if err != nil {
		return nil, err
	}
	out = append(out, upstreams...)
	failed, err := s.failingSchedules(ctx, tenant)
	if err != nil {
		return nil, err
	}
	out = append(append(out, failed...), disabledCallbacks(queues)...)
	if slow := s.lateConnections()[tenant]; slow.n > 0 {
		out = append(out, view.Attention{Level: view.Warning, Text: view.Plural(slow.n, "connection takes", "connections take") + " events late",
			Detail: "the slowest is " + slow.worst.Truncate(time.Second).String() + " behind; others are not delayed", Do: view.Action{Label: "Connections", Path: "/hub", Admin: true}})
	}
	out = append(out, s.configAttention()...)
	slices.SortStableFunc(out, func(a, b view.Attention) int { return cmp.Compare(b.Level, a.Level) })
	return out, nil
}

// late counts the connections of a tenant that are behind, and holds the largest lag.
type late struct {
	n     int64
	worst time.Duration
}

// lateConnections returns them for all tenants, at most a second old.
func (s *Server) lateConnections() map[string]late {
	all, _ := s.late.Get(struct{}{}, time.Second, func() (map[string]late, error) {
		all := map[string]late{}
		for _, c := range s.Live.Connections() {
			if c.Lag > slowLag {
				of := all[c.Tenant]
				all[c.Tenant] = late{of.n + 1, max(of.worst, c.Lag)}
			}
		}
		return all, nil
	})
	return all
}

func endedLately(q view.Queue) (done, failed int) {
	recent := int(attentionSpan / hub.BucketWidth)
	for _, b := range q.Series.Buckets[max(0, len(q.Series.Buckets)-recent):] {
		done, failed = done+b.Succeeded, failed+b.Failed
	}
	return done, failed
}

// stuck returns what keeps the jobs of a queue from running.
func (s *Server) stuck(ctx context.Context, tenant string, q view.Queue, consumers consumers, now time.Time) (out []view.Attention, err error) {
	queued, running := q.Counts[jobs.Queued], q.Counts[jobs.Running]
	page := "/queues/" + q.Name
	limits, workers := view.Action{Label: "Limits", Path: page + "#limits"}, view.Action{Label: "Workers", Path: "/workers"}
	add := func(level view.Level, since time.Time, detail, text string, do view.Action) {
		out = append(out, view.Attention{Level: level, Text: q.Name + ": " + text, Detail: detail, Since: since, Link: page, Do: do})
	}
	if pause := q.Settings.Paused; pause != nil {
		if queued > 0 {
			add(view.Notice, pause.At, view.PausedBy(pause), "paused, "+wait(queued), view.Action{Label: "Resume", Path: page + "/resume", Post: true})
		}
	} else if queued > 0 && now.Sub(q.OldestAt) > longWait {
		alone, err := s.unserved(ctx, tenant, q.Name, consumers)
		switch {
		case err != nil:
			return nil, err
		case len(alone) > 0:
			add(view.Failure, q.OldestAt, "Start one with jobhub work --kind "+alone[0], wait(queued)+", no worker takes "+strings.Join(alone, ", "), view.Action{Label: "How to", Path: "/docs/workers"})
		case running == 0:
			add(view.Failure, q.OldestAt, "No worker of this queue is free", wait(queued)+", none running", workers)
		default:
			add(view.Warning, q.OldestAt, fmt.Sprintf("%d running", running), wait(queued)+" for too long", limits)
		}
	}
	if limit := int64(q.Settings.Capacity); limit > 0 {
		text := fmt.Sprintf("%d of %d", q.Backlog(), limit)
		if q.Backlog() >= limit {
			add(view.Warning, time.Time{}, "New jobs are refused until some jobs start", "full, "+text, limits)
		} else if soon, fills := fullIn(q, limit); fills {
			add(view.Warning, time.Time{}, fmt.Sprintf("Full %s at this rate: in %.1f/s, out %.1f/s", soon, q.Rates.In, q.Rates.Out), "fills up, "+text, limits)
		}
	}
	return out, nil
}

// fullIn returns when a growing queue will be full, if that is soon.
func fullIn(q view.Queue, limit int64) (in string, fills bool) {
	const soon = 30 * time.Minute
	left := limit - q.Backlog()
	if q.Rates == nil || q.Rates.In <= q.Rates.Out || left > limit/2 {
		return "", false
	}
	seconds := float64(left) / (q.Rates.In - q.Rates.Out)
	switch {
	case seconds > soon.Seconds():
		return "", false
	case seconds < 60:
		return "within a minute", true
	}
	return fmt.Sprintf("in about %d min", int(seconds/60)), true
}

// consumers are the handlers and workers that take a tenant's jobs.
type consumers struct {
	own     []string // kinds that the hub runs itself
	workers []engine.WorkerInfo
}

func (s *Server) consumers(tenant string) consumers {
	own, _, _ := s.Engine.Handlers()
	return consumers{own, s.Engine.Workers.List(tenant)}
}

// take reports whether a handler or worker takes jobs of a kind from a queue.
func (c consumers) take(queue, kind string) bool {
	return slices.Contains(c.own, kind) || slices.ContainsFunc(c.workers, func(w engine.WorkerInfo) bool {
		return serves(w, queue) && w.Directive == engine.DirectiveRun && slices.Contains(w.Kinds, kind)
	})
}

// unserved returns the kinds of queued jobs that neither the hub nor a worker takes.
func (s *Server) unserved(ctx context.Context, tenant, queue string, consumers consumers) ([]string, error) {
	inLine, err := s.waiting.kinds(ctx, s.Store, tenant, queue)
	return slices.DeleteFunc(slices.Clone(inLine), func(kind string) bool { return consumers.take(queue, kind) }), err
}

// failures returns the kinds and the upstreams with the most recent failures.
func (s *Server) failures(ctx context.Context, tenant string, now time.Time) (out []view.Attention, err error) {
	page, err := s.Store.List(ctx, jobs.Filter{Tenant: tenant, States: []jobs.State{jobs.Failed}, Limit: looked})
	if err != nil {
		return nil, err
	}
	type group struct {
		what, why, link string
		n               int
	}
	groups := map[[2]string]*group{}
	var order []*group
	for i := range page.Jobs {
		j := &page.Jobs[i]
		if now.Sub(j.FinishedAt) > attentionSpan {
			continue
		}
		what, why := j.Kind, string(j.Reason)
		if host := view.UpstreamHost(*j); host != "" {
			what = "upstream " + host
		}
		if j.Error != nil {
			why = cmp.Or(j.Error.Title, why)
		}
		g := groups[[2]string{what, why}]
		if g == nil {
			g = &group{what, why, "/jobs?state=failed&kind=" + url.QueryEscape(j.Kind), 0}
			groups[[2]string{what, why}] = g
			order = append(order, g)
		}
		g.n++
	}
	slices.SortStableFunc(order, func(a, b *group) int { return cmp.Compare(b.n, a.n) })
	for _, g := range order[:min(mostGroups, len(order))] {
		if g.n >= few {
			out = append(out, view.Attention{Level: view.Notice, Text: fmt.Sprintf("%s: %d × %s", g.what, g.n, g.why), Detail: "of the newest failures, in the last five minutes", Link: g.link, Do: view.Action{Label: fmt.Sprintf("Show %d", g.n), Path: g.link}})
		}
	}
	return out, nil
}

// configAttention reports that the newest configuration file has errors. The errors may
// quote the file, so only the page of routes shows them, to operators.
func (s *Server) configAttention() []view.Attention {
	c := s.ConfigState()
	if c == nil || c.Err == nil {
		return nil
	}
	return []view.Attention{{Level: view.Failure, Text: "The configuration file has errors", Detail: "The hub still uses the version before", Since: c.FailedAt,
		Do: view.Action{Label: "Show errors", Path: "/routes", Admin: true}}}
}

func wait(n int64) string { return view.Plural(n, "job waits", "jobs wait") }
