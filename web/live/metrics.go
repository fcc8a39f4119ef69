package live

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"jobhub/web/peers"
	"jobhub/web/rest"
	"jobhub/web/stages"
)

// serveMetrics is GET /metrics, in the format of Prometheus: operators of the hub get the
// figures of all tenants, others those of their own tenant.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) error {
	of := rest.Tenant(r)
	if rest.IsHubTenant(of) {
		s.metrics.ServeHTTP(w, r)
		return nil
	}
	own := prometheus.NewRegistry()
	own.MustRegister(&queueMetrics{s, of})
	promhttp.HandlerFor(own, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	return nil
}

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
	Tenant string // empty until the client has sent credentials
	Name   string // of its key
	Since  time.Time
	Seq    uint64        // the position up to which it was sent what it watches
	Lag    time.Duration // age of the oldest event that it was not yet sent

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

// requestMetrics counts requests by the stage at which they ended.
type requestMetrics struct{ counters *stages.Counters }

var requestsDesc = prometheus.NewDesc("jobhub_requests_total", "Requests, by the stage that answered or refused them.", []string{"stage", "verdict"}, nil)

// Describe implements prometheus.Collector.
func (m requestMetrics) Describe(out chan<- *prometheus.Desc) { out <- requestsDesc }

// Collect implements prometheus.Collector.
func (m requestMetrics) Collect(out chan<- prometheus.Metric) {
	for stage := range stages.Count {
		for _, outcome := range stages.Outcomes() {
			if n := m.counters.Load(stage, outcome); n > 0 {
				out <- prometheus.MustNewConstMetric(requestsDesc, prometheus.CounterValue, float64(n), stage.String(), outcome.String())
			}
		}
	}
}

// connectionMetrics counts the connections of the listener, if the server has one.
func (s *Server) connectionMetrics() []prometheus.Collector {
	of := func(value func(*peers.Listener) int64) func() float64 {
		return func() float64 {
			if s.Listener == nil {
				return 0
			}
			return float64(value(s.Listener))
		}
	}
	const refused = "Connections that were refused, by the bound that was met."
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "jobhub_connections", Help: "Open connections of all kinds."},
			of(func(l *peers.Listener) int64 { return int64(l.Count()) })),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "jobhub_connections_refused_total", Help: refused, ConstLabels: prometheus.Labels{"bound": "address"}},
			of(func(l *peers.Listener) int64 { return l.RefusedAddress.Load() })),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "jobhub_connections_refused_total", Help: refused, ConstLabels: prometheus.Labels{"bound": "total"}},
			of(func(l *peers.Listener) int64 { return l.RefusedTotal.Load() })),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "jobhub_connections_stalled_total", Help: "Connections closed as the peer neither sent nor took a byte while something was due."},
			of(func(l *peers.Listener) int64 { return l.Stalled.Load() })),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "jobhub_connections_displaced_total", Help: "Silent connections closed to make room for others."},
			of(func(l *peers.Listener) int64 { return l.Evicted.Load() })),
	}
}
