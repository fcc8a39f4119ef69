package live

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/rest"
)

// others is the name under which queues without series of their own are counted.
const others = "other"

// queueMetrics collects the job counts of the queues of a tenant, or of all tenants if
// tenant is empty. At most maxQueueSeries queues have series of their own, those with most
// unfinished jobs. The others of a tenant are counted together, so that sums are exact.
type queueMetrics struct {
	*Server
	tenant string
}

var (
	queueJobs    = prometheus.NewDesc("jobhub_queue_jobs", "Jobs by queue and state, as kept by the store.", []string{"tenant", "queue", "state"}, nil)
	queueOldest  = prometheus.NewDesc("jobhub_queue_oldest_seconds", "Age of the job that is first in line.", []string{"tenant", "queue"}, nil)
	queuePaused  = prometheus.NewDesc("jobhub_queue_paused", "1 if the queue is paused; of several, how many are.", []string{"tenant", "queue"}, nil)
	queueWatched = prometheus.NewDesc("jobhub_queue_watchers", "Live connections that watch the queue.", []string{"tenant", "queue"}, nil)
)

// Describe implements prometheus.Collector.
func (q *queueMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{queueJobs, queueOldest, queuePaused, queueWatched} {
		to <- d
	}
}

// queueSeries holds the figures of one queue, or of several together.
type queueSeries struct {
	jobs.QueueInfo
	paused, watchers int
}

// Collect implements prometheus.Collector.
func (q *queueMetrics) Collect(to chan<- prometheus.Metric) {
	queues, _, err := q.Store.Queues(q.Stopped, q.tenant)
	if err != nil {
		return // the next scrape tries again
	}
	for _, s := range q.series(queues) {
		gauge := func(d *prometheus.Desc, value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{s.Tenant, s.Name}, labels...)...)
		}
		for _, state := range jobs.States {
			gauge(queueJobs, float64(s.Counts[state]), state.String())
		}
		if !s.OldestAt.IsZero() {
			gauge(queueOldest, time.Since(s.OldestAt).Seconds())
		}
		gauge(queuePaused, float64(s.paused))
		gauge(queueWatched, float64(s.watchers))
	}
}

// series returns the series of queues; it joins those beyond maxQueueSeries.
func (q *queueMetrics) series(queues []jobs.QueueInfo) (all []*queueSeries) {
	joined := map[string]*queueSeries{} // by tenant
	for i, info := range busiestFirst(queues) {
		s := &queueSeries{QueueInfo: info, watchers: q.Hub.Watchers(hub.Filter{Tenant: info.Tenant, Queue: info.Name})}
		if info.Settings.Paused != nil {
			s.paused = 1
		}
		of := joined[info.Tenant]
		switch {
		case i < rest.MaxQueueSeries && info.Name != others:
			all = append(all, s)
		case of == nil:
			s.Name = others
			joined[info.Tenant] = s
			all = append(all, s)
		default:
			of.add(s)
		}
	}
	return all
}

func (s *queueSeries) add(more *queueSeries) {
	for state, n := range more.Counts {
		s.Counts[state] += n
	}
	if s.OldestAt.IsZero() || !more.OldestAt.IsZero() && more.OldestAt.Before(s.OldestAt) {
		s.OldestAt = more.OldestAt
	}
	s.paused += more.paused
	s.watchers += more.watchers
}

// busiestFirst sorts queues by their unfinished jobs, and then by name.
func busiestFirst(queues []jobs.QueueInfo) []jobs.QueueInfo {
	unfinished := func(q *jobs.QueueInfo) (n int64) {
		for _, state := range jobs.States {
			if !state.Final() {
				n += q.Counts[state]
			}
		}
		return n
	}
	slices.SortFunc(queues, func(a, b jobs.QueueInfo) int {
		return cmp.Or(cmp.Compare(unfinished(&b), unfinished(&a)), strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.Name, b.Name))
	})
	return queues
}
