package engine

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"jobhub/jobs"
)

// worker is a registered outside worker. It is kept in memory only: one that the hub does not
// know any more registers again, and its leases stay valid.
type worker struct {
	WorkerSpec
	id        string
	tenant    string
	seen      time.Time
	directive Directive
	kinds     []string        // sorted
	queues    []string        // sorted
	holds     map[string]bool // leases
	claiming  int             // leases that claims under way may get
	lost      []string        // tokens of lost leases that were not reported to it yet
	calls     int             // Lease and Beat calls under way
	waiting   int             // of these, how many wait
	hasNews   bool            // there is a command that no call has returned yet
	wake      chan struct{}   // closed and replaced when news comes
}

// LeaseTime is how long a lease lasts without a renewal; workers should renew after a third
// of it.
func (e *Engine) LeaseTime() time.Duration { return e.leaseTime }

// Workers lists the workers of a tenant.
func (e *Engine) Workers(tenant string) (list []WorkerInfo) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, w := range e.workers {
		if w.tenant == tenant {
			info := WorkerInfo{WorkerSpec: w.WorkerSpec, ID: w.id, Seen: w.seen, Directive: w.directive}
			for lease := range w.holds {
				info.Running = append(info.Running, e.leases[lease].run.job.ID)
			}
			slices.SortFunc(info.Running, func(a, b jobs.ID) int { return bytes.Compare(a[:], b[:]) })
			list = append(list, info)
		}
	}
	slices.SortFunc(list, func(a, b WorkerInfo) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// Handlers describes the handlers of this process: their kinds, by name, how many attempts
// may run at the same time, and how many do.
func (e *Engine) Handlers() (kinds []string, slots, busy int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.pools {
		kinds = append(kinds, p.kinds...)
		slots, busy = slots+p.size, busy+p.size-p.share.Free
	}
	slices.Sort(kinds)
	return kinds, slots, busy
}

// LostLeases is how many leases were lost since the start because their worker fell silent.
func (e *Engine) LostLeases() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lostLeases
}

// SetDirective sets the directive of a worker. A waiting call of the worker returns with it
// at once.
func (e *Engine) SetDirective(tenant, id string, d Directive) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	w, err := e.workerLocked(tenant, id)
	if err != nil {
		return err
	}
	w.directive = d
	e.notifyWorkerLocked(id)
	return nil
}

// Unregister removes a worker. Its leases last until their deadline, unless it ends the
// attempts before.
func (e *Engine) Unregister(tenant, id string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	w, err := e.workerLocked(tenant, id)
	if err != nil {
		return err
	}
	e.removeWorkerLocked(w)
	w.wakeCalls()
	return nil
}

func (e *Engine) workerLocked(tenant, id string) (*worker, error) {
	w := e.workers[id]
	if w == nil || w.tenant != tenant {
		return nil, jobs.NewProblem(jobs.NotFound, "Unknown worker", "Register again with POST /v1/workers; leases stay good.")
	}
	return w, nil
}
