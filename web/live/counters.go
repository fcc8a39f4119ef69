package live

import (
	"cmp"
	"net/http"
	"strconv"
	"time"

	"github.com/coder/websocket"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"jobhub/hub"
	"jobhub/web/view"
)

// live counts what happens on the live connections.
type meters struct {
	metrics http.Handler
	own     *prometheus.Registry // of what follows

	opened  *prometheus.CounterVec // by transport
	closes  *prometheus.CounterVec // by code
	resumes *prometheus.CounterVec // by result
	gaps    prometheus.Counter
	frames  prometheus.Counter
	events  prometheus.Counter
	delay   prometheus.Histogram
}

func newMeters(s *Server) *meters {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	vector := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	total := func(name, help string, value func() int64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value()) })
	}
	l := &meters{
		opened:  vector("jobhub_live_connections_opened_total", "Live connections accepted.", "transport"),
		closes:  vector("jobhub_live_closes_total", "WebSocket connections that the hub closed, or whose close frame it answered, by code.", "code"),
		resumes: vector("jobhub_live_resumes_total", "Subscriptions with a position, by result: recovered, or why not.", "result"),
		gaps:    counter("jobhub_live_gaps_total", "Times that a connection was told that it had missed events."),
		frames:  counter("jobhub_live_lots_sent_total", "Writes of events to live connections; each is one frame, or one piece of a stream."),
		events:  counter("jobhub_live_events_sent_total", "Events sent to live connections."),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "jobhub_live_delay_seconds",
			Help:    "From the hub reading a committed event to handing it to a connection's socket.",
			Buckets: prometheus.ExponentialBuckets(50e-6, 2, 18)}),
	}
	l.own = prometheus.NewRegistry()
	l.own.MustRegister(l.opened, l.closes, l.resumes, l.gaps, l.events, l.delay)
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.connectionMetrics()...)
	registry.MustRegister(l.opened, l.closes, l.resumes, l.gaps, l.frames, l.events, l.delay,
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
		&queueMetrics{s, ""},
	)
	l.metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return l
}

func (l *meters) closed(code websocket.StatusCode) {
	l.closes.WithLabelValues(strconv.Itoa(int(code))).Inc()
}

func (l *meters) resumed(reason string) { l.resumes.WithLabelValues(cmp.Or(reason, "recovered")).Inc() }

func (l *meters) sent(chunk *hub.Chunk) {
	l.frames.Inc()
	l.events.Add(float64(len(chunk.Events)))
	if !chunk.ReadAt.IsZero() {
		l.delay.Observe(time.Since(chunk.ReadAt).Seconds())
	}
}

// Count copies the counters for the page of the hub.
func (s *Server) Count(m *view.HubModel) error {
	families, err := s.meters.own.Gather()
	if err != nil {
		return err
	}
	for _, f := range families {
		var all []view.Tally
		for _, one := range f.Metric {
			t := view.Tally{N: int64(one.GetCounter().GetValue())}
			for _, label := range one.Label {
				t.Name = label.GetValue()
			}
			all = append(all, t)
			var before uint64
			for _, b := range one.GetHistogram().GetBucket() {
				m.Delays = append(m.Delays, view.Delay{Most: time.Duration(b.GetUpperBound() * float64(time.Second)), N: int64(b.GetCumulativeCount() - before)})
				before = b.GetCumulativeCount()
			}
			if h := one.GetHistogram(); h != nil {
				m.Delays = append(m.Delays, view.Delay{N: int64(h.GetSampleCount() - before)})
			}
		}
		switch f.GetName() {
		case "jobhub_live_connections_opened_total":
			m.Opened = all
		case "jobhub_live_closes_total":
			m.Closes = all
		case "jobhub_live_resumes_total":
			m.Resumes = all
		case "jobhub_live_gaps_total":
			m.Gaps = all[0].N
		case "jobhub_live_events_sent_total":
			m.Sent = all[0].N
		}
	}
	return nil
}
