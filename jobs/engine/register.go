package engine

import (
	"crypto/rand"
	"slices"
	"strconv"
	"strings"
	"time"

	"jobhub/jobs"
)

// workerTotals counts the workers of a tenant and the names that they register.
type workerTotals struct {
	workers int
	names   int // kinds and queues of all of them
}

// Register adds a worker and returns its id. A problem with status 422 if s is not valid, and
// with LimitExceeded if there are too many workers.
func (e *Engine) Register(tenant string, s WorkerSpec) (id string, err error) {
	if err := s.check(); err != nil {
		return "", err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for i, kind := range s.Kinds {
		if _, ours := e.handlers[kind]; ours {
			return "", jobs.Invalid("/kinds/"+strconv.Itoa(i), "is run by the hub itself; choose another name")
		}
	}
	w := &worker{WorkerSpec: s, id: "wk_" + strings.ToLower(rand.Text()[:16]), tenant: tenant, seen: time.Now(), directive: DirectiveRun,
		kinds: slices.Sorted(slices.Values(s.Kinds)), queues: slices.Sorted(slices.Values(s.Queues)), holds: map[string]bool{}, wake: make(chan struct{})}
	all := e.workerTotals[tenant]
	switch {
	case all.workers >= MaxWorkers:
		return "", jobs.NewProblem(jobs.LimitExceeded, "Too many workers", "There are %d workers. Let each have more slots, and end some; a silent one is forgotten after %s.", all.workers, 2*e.leaseTime)
	case all.names+w.names() > MaxWorkerNames:
		return "", jobs.NewProblem(jobs.LimitExceeded, "Too many names", "All workers together may name %d kinds and queues. Let each name fewer.", MaxWorkerNames)
	}
	e.workerTotals[tenant] = workerTotals{all.workers + 1, all.names + w.names()}
	e.workers[w.id] = w
	e.upkeepAlarm.setBy(time.Now().Add(2 * e.leaseTime))
	return w.id, nil
}

func (w *worker) names() int { return len(w.kinds) + len(w.queues) }

// removeWorkerLocked removes a worker.
func (e *Engine) removeWorkerLocked(w *worker) {
	delete(e.workers, w.id)
	all := e.workerTotals[w.tenant]
	if all = (workerTotals{all.workers - 1, all.names - w.names()}); all.workers > 0 {
		e.workerTotals[w.tenant] = all
	} else {
		delete(e.workerTotals, w.tenant)
	}
}
