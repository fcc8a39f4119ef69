package jobs

import (
	"bytes"
	"slices"
	"strings"
	"time"
)

// worker is a registered outside worker. It lives in memory: one that the hub forgot
// registers again, and its leases stay good.
type worker struct {
	WorkerSpec
	id        string
	tenant    string
	seen      time.Time
	directive Directive
	kinds     []string        // sorted
	queues    []string        // sorted
	holds     map[string]bool // leases
	claiming  int             // leases that claims under way ask for
	lost      []string        // tokens of leases that it has not been told of
	calls     int             // leases and beats that are served
	waiting   int             // of these, how many wait
	hasNews   bool            // there is a command that no call has brought it yet
	wake      chan struct{}   // closed and replaced when news comes
}

// LeaseTime is how long a worker may be silent about a lease; it should renew after a
// third of it.
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
			slices.SortFunc(info.Running, func(a, b ID) int { return bytes.Compare(a[:], b[:]) })
			list = append(list, info)
		}
	}
	slices.SortFunc(list, func(a, b WorkerInfo) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// Handlers describes what runs in this process itself: the kinds it takes, by name, how
// many attempts it runs at the same time at most, and how many of them run.
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

// SetDirective gives a worker a directive, which it hears at once if a call of it waits.
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

// Unregister forgets a worker; its leases run out unless they are settled.
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
		return nil, newProblem(NotFound, "Unknown worker", "Register again with POST /v1/workers; leases stay good.")
	}
	return w, nil
}
