package live

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// newMetrics returns the metrics of the whole hub, for its operators.
func newMetrics(s *Server) http.Handler {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	total := func(name, help string, value func() int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.connectionMetrics()...)
	registry.MustRegister(requestMetrics{&s.Requests})
	registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		gauge("jobhub_live_connections", "Open WebSocket connections.", func() float64 { return float64(s.openSockets()) }),
		gauge("jobhub_live_lag_seconds", "Age of the oldest event that an open WebSocket connection was not given.", func() float64 { return s.worstLag().Seconds() }),
		gauge("jobhub_log_seq", "Position of the log's newest event.", func() float64 { return float64(s.Store.Head().Seq) }),
		total("jobhub_hub_events_total", "Events that the hub has read from the log.", s.Hub.Stats.Events.Load),
		total("jobhub_hub_lots_total", "Chunks of events made, each shared by all connections with the same subscription.", s.Hub.Stats.Chunks.Load),
		total("jobhub_hub_merged_total", "Progress events that newer ones replaced before they were sent.", s.Hub.Stats.Merged.Load),
		total("jobhub_hub_catch_ups_total", "Reads for one connection that was behind what is kept for all.", s.Hub.Stats.CatchUps.Load),
		total("jobhub_hub_renders_total", "Renderings of the dashboard's live views, each for all who watch the same.", s.Hub.Stats.Renders.Load),
		total("jobhub_hub_patches_total", "Patches of views encoded, each for all who are sent the same.", s.Hub.Stats.Encoded.Load),
		total("jobhub_live_gaps_total", "Times that a connection was told that it had missed events.", s.counters.gaps.Load),
		total("jobhub_live_lots_sent_total", "Writes of events to live connections; each is one frame, or one piece of a stream.", s.counters.chunks.Load),
		total("jobhub_live_events_sent_total", "Events sent to live connections.", s.counters.events.Load),
		liveMetrics{s},
		&queueMetrics{s, ""},
	)
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// liveMetrics collects the counters that have labels or buckets.
type liveMetrics struct{ *Server }

var (
	liveOpened  = prometheus.NewDesc("jobhub_live_connections_opened_total", "Live connections accepted.", []string{"transport"}, nil)
	liveCloses  = prometheus.NewDesc("jobhub_live_closes_total", "WebSocket connections that the hub closed, or whose close frame it answered, by code.", []string{"code"}, nil)
	liveResumes = prometheus.NewDesc("jobhub_live_resumes_total", "Subscriptions with a position, by result: recovered, or why not.", []string{"result"}, nil)
	liveDelay   = prometheus.NewDesc("jobhub_live_delay_seconds", "From the hub reading a committed event to handing it to a connection's socket.", nil, nil)
)

// Describe implements prometheus.Collector.
func (liveMetrics) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{liveOpened, liveCloses, liveResumes, liveDelay} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (l liveMetrics) Collect(to chan<- prometheus.Metric) {
	counts := l.Counts()
	for d, by := range map[*prometheus.Desc]map[string]int64{liveOpened: counts.Opened, liveCloses: counts.Closes, liveResumes: counts.Resumes} {
		for label, n := range by {
			to <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), label)
		}
	}
	all, buckets := uint64(0), map[float64]uint64{}
	for _, d := range counts.Delays {
		if all += uint64(d.N); d.Most > 0 {
			buckets[float64(d.Most)/1e9] = all
		}
	}
	to <- prometheus.MustNewConstHistogram(liveDelay, all, counts.delaySum.Seconds(), buckets)
}
