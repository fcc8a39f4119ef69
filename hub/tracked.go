package hub

import (
	"time"

	"jobhub/jobs"
)

// tracked holds since when jobs wait, or run. It has maxTracked places, and shares them so
// that a tenant with many jobs leaves some for others: a tenant holds at most as many as are
// still free, and a queue at most as many as its tenant could still take.
type tracked struct {
	jobs    map[jobs.ID]trackedJob
	tenants map[string]int // places that they hold
	queues  map[meterKey]int
}

type trackedJob struct {
	since time.Time
	queue meterKey
}

func newTracked() tracked {
	return tracked{map[jobs.ID]trackedJob{}, map[string]int{}, map[meterKey]int{}}
}

// add begins to track a job, if there is a place for it.
func (t *tracked) add(e *jobs.Event) {
	queue := meterKey{e.Tenant, e.Queue}
	free := maxTracked - len(t.jobs)
	if t.queues[queue] >= free-t.tenants[e.Tenant] {
		return
	}
	t.jobs[e.Job] = trackedJob{e.At, queue}
	t.tenants[e.Tenant]++
	t.queues[queue]++
}

// remove stops tracking a job, and returns since when it waited or ran.
func (t *tracked) remove(id jobs.ID) (since time.Time, ok bool) {
	j, ok := t.jobs[id]
	if !ok {
		return since, false
	}
	delete(t.jobs, id)
	if t.tenants[j.queue.tenant]--; t.tenants[j.queue.tenant] == 0 {
		delete(t.tenants, j.queue.tenant)
	}
	if t.queues[j.queue]--; t.queues[j.queue] == 0 {
		delete(t.queues, j.queue)
	}
	return j.since, true
}
