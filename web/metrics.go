package web

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"jobhub/hub"
	"jobhub/jobs"
)

// serveMetrics is GET /metrics, in the format of Prometheus.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) { s.Live.metrics.ServeHTTP(w, r) }

func (s *Server) openSockets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.joined)
}

func (s *Server) worstLag() (worst time.Duration) {
	for _, c := range s.Connections() {
		worst = max(worst, c.Lag)
	}
	return worst
}

// Connection describes an open WebSocket.
type Connection struct {
	ID     string
	Remote string
	Tenant string // empty until it has said who calls
	Name   string // of its key
	Since  time.Time
	Seq    uint64        // the position up to which it was given what it watches
	Lag    time.Duration // age of the oldest event that it was not given

	Watches string // what it has subscribed to, in words
}

// Connections lists the open WebSockets.
func (s *Server) Connections() (all []Connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.joined {
		seq, lag := c.cursor.Lag()
		on := Connection{ID: c.id, Remote: c.remote, Since: c.since, Seq: seq, Lag: lag}
		if about := c.about.Load(); about != nil {
			on.Tenant, on.Name, on.Watches = about.tenant, about.name, about.watches
		}
		all = append(all, on)
	}
	return all
}

// queueMetrics tells what the queues hold.
type queueMetrics struct{ *Server }

var (
	queueJobs    = prometheus.NewDesc("jobhub_queue_jobs", "Jobs by queue and state, as kept by the store.", []string{"tenant", "queue", "state"}, nil)
	queueOldest  = prometheus.NewDesc("jobhub_queue_oldest_seconds", "Age of the job that is first in line.", []string{"tenant", "queue"}, nil)
	queuePaused  = prometheus.NewDesc("jobhub_queue_paused", "1 if the queue is paused.", []string{"tenant", "queue"}, nil)
	queueWatched = prometheus.NewDesc("jobhub_queue_watchers", "Live connections that watch the queue.", []string{"tenant", "queue"}, nil)
)

// Describe implements prometheus.Collector.
func (q *queueMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{queueJobs, queueOldest, queuePaused, queueWatched} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (q *queueMetrics) Collect(to chan<- prometheus.Metric) {
	queues, _, err := q.Store.Queues(q.stopped, "")
	if err != nil {
		return // the next scrape tries again
	}
	for _, info := range queues {
		gauge := func(d *prometheus.Desc, value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, append([]string{info.Tenant, info.Name}, labels...)...)
		}
		for _, state := range jobs.States {
			gauge(queueJobs, float64(info.Counts[state]), state.String())
		}
		if !info.OldestAt.IsZero() {
			gauge(queueOldest, time.Since(info.OldestAt).Seconds())
		}
		paused := 0.0
		if info.Settings.Paused != nil {
			paused = 1
		}
		gauge(queuePaused, paused)
		gauge(queueWatched, float64(q.Hub.Watchers(hub.Filter{Tenant: info.Tenant, Queue: info.Name})))
	}
}
