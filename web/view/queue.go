package view

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
	"time"

	"jobhub/jobs"
)

// Queue is one line of the table of queues.
type Queue struct {
	jobs.QueueInfo
	Paused bool
	Rates  *Rates // nil while not known
	Series Series
}

// Rates are per second.
type Rates struct{ In, Out, Failed float64 }

// Backlog is the number of jobs that count against the capacity of the queue: all that
// have not ended and do not run.
func (q Queue) Backlog() int64 {
	return q.Counts[jobs.Scheduled] + q.Counts[jobs.Queued] + q.Counts[jobs.Retrying] + q.Counts[jobs.Waiting]
}

// later are the states of jobs of a queue that cannot run yet.
var later = []jobs.State{jobs.Retrying, jobs.Scheduled, jobs.Waiting}

// limited reports whether any of the queues has a capacity.
func limited(queues []Queue) bool {
	return slices.ContainsFunc(queues, func(q Queue) bool { return q.Settings.Capacity > 0 })
}

// lateAfter is the wait from which the oldest job is marked.
const lateAfter = 10 * time.Second

// late reports whether the oldest job has waited for long, though nobody paused the queue.
func (q Queue) late() bool {
	return q.Settings.Paused == nil && !q.OldestAt.IsZero() && !q.Series.End.IsZero() && q.Series.End.Sub(q.OldestAt) > lateAfter
}

// ofLimit is how many jobs run, with the limit if there is one.
func (q Queue) ofLimit() string {
	text := count(q.Counts[jobs.Running])
	if n := q.Settings.Concurrency; n > 0 {
		text += " / " + count(int64(n))
	}
	return text
}

// load is the order of magnitude of the jobs that are unfinished or ended in the last minutes.
// A finer figure would make similar queues change places on the screen.
func (q Queue) load() int {
	n := q.Backlog() + q.Counts[jobs.Running]
	for _, b := range q.Series.Buckets {
		n += int64(b.Succeeded + b.Failed)
	}
	return bits.Len64(uint64(n))
}

func byLoad(a, b Queue) int {
	return cmp.Or(cmp.Compare(b.load(), a.load()), strings.Compare(a.Name, b.Name))
}

// leastBusy names the last of queues by load; empty if there are none.
func leastBusy(list []Queue) string {
	if len(list) == 0 {
		return ""
	}
	return slices.MaxFunc(list, byLoad).Name
}
