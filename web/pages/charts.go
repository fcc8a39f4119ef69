package pages

import (
	"slices"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/view"
)

// series returns the history of a queue, or of all queues of a tenant.
func (s *Server) series(tenant, queue string, r hub.Resolution, now time.Time) view.Series {
	return seriesOf(s.Hub.Meter.Series(tenant, queue, r, now), r.Width(), now)
}

// seriesOf begins with the first bucket that has data.
func seriesOf(buckets []hub.Bucket, step time.Duration, now time.Time) view.Series {
	first := slices.IndexFunc(buckets, func(b hub.Bucket) bool { return b != hub.Bucket{} })
	buckets = buckets[max(first, 0):] // all of them if none has data: then nothing happened
	out := view.Series{End: now.Truncate(step).Add(step), Step: step, Buckets: make([]view.Bucket, len(buckets))}
	for i, b := range buckets {
		out.Buckets[i] = view.Bucket{In: int(b.In), Succeeded: int(b.Done), Failed: int(b.Failed)}
	}
	return out
}

// charts returns how many jobs of a tenant ended in a range, and how long they took.
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
