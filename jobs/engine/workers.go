package engine

import (
	"bytes"
	"crypto/rand"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine/commit"
)

// Workers are the outside workers and their leases. They are kept in memory only: after a
// restart workers register again, and their leases stay valid.
//
//	Register, Beat, SetDirective        Lease → a claimer → claims → the answer
//	Report → attempt.Reporter           Complete, Fail, Snooze, Release → transition → Committer
//	expire: leases after their deadline and silent workers
type Workers struct {
	store     jobs.Store
	notify    func(jobs.Notice)
	commits   *commit.Committer
	claims    *claims
	attempts  *attempts
	log       *slog.Logger
	upkeep    alarm // at which expire is called
	failed    <-chan struct{}
	leaseTime time.Duration

	mu         *sync.Mutex // claims.mu, because a claim takes free slots of a worker; protects the fields below
	all        map[string]*worker
	totals     map[string]workerTotals // by tenant
	leases     map[string]*workerLease
	lostLeases int64 // of workers that fell silent, since the start
}

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

// workerTotals counts the workers of a tenant and the names that they register.
type workerTotals struct {
	workers int
	names   int // kinds and queues of all of them
}

// Register adds a worker and returns its id. A problem with status 422 if s is not valid, and
// with LimitExceeded if there are too many workers.
func (ws *Workers) Register(tenant string, s WorkerSpec) (id string, err error) {
	if err := s.check(); err != nil {
		return "", err
	}
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for i, kind := range s.Kinds {
		if _, ours := ws.attempts.handler(kind); ours {
			return "", jobs.Invalid("/kinds/"+strconv.Itoa(i), "is run by the hub itself; choose another name")
		}
	}
	w := &worker{WorkerSpec: s, id: "wk_" + strings.ToLower(rand.Text()[:16]), tenant: tenant, seen: time.Now(), directive: DirectiveRun,
		kinds: slices.Sorted(slices.Values(s.Kinds)), queues: slices.Sorted(slices.Values(s.Queues)), holds: map[string]bool{}, wake: make(chan struct{})}
	all := ws.totals[tenant]
	switch {
	case all.workers >= MaxWorkers:
		return "", jobs.NewProblem(jobs.LimitExceeded, "Too many workers", "There are %d workers. Let each have more slots, and end some; a silent one is forgotten after %s.", all.workers, 2*ws.leaseTime)
	case all.names+w.names() > MaxWorkerNames:
		return "", jobs.NewProblem(jobs.LimitExceeded, "Too many names", "All workers together may name %d kinds and queues. Let each name fewer.", MaxWorkerNames)
	}
	ws.totals[tenant] = workerTotals{all.workers + 1, all.names + w.names()}
	ws.all[w.id] = w
	ws.changed(tenant)
	ws.upkeep.setBy(time.Now().Add(2 * ws.leaseTime))
	return w.id, nil
}

func (w *worker) names() int { return len(w.kinds) + len(w.queues) }

// removeLocked removes a worker.
func (ws *Workers) removeLocked(w *worker) {
	delete(ws.all, w.id)
	ws.changed(w.tenant)
	all := ws.totals[w.tenant]
	if all = (workerTotals{all.workers - 1, all.names - w.names()}); all.workers > 0 {
		ws.totals[w.tenant] = all
	} else {
		delete(ws.totals, w.tenant)
	}
}

// changed tells that the workers of a tenant, as List returns them, have changed.
func (ws *Workers) changed(tenant string) {
	ws.notify(jobs.Notice{Tenant: tenant, Subject: jobs.WorkersChanged})
}

// LeaseTime is how long a lease lasts without a renewal; workers should renew after a third
// of it.
func (ws *Workers) LeaseTime() time.Duration { return ws.leaseTime }

// List returns the workers of a tenant.
func (ws *Workers) List(tenant string) (list []WorkerInfo) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for _, w := range ws.all {
		if w.tenant == tenant {
			info := WorkerInfo{WorkerSpec: w.WorkerSpec, ID: w.id, Seen: w.seen, Directive: w.directive}
			for lease := range w.holds {
				info.Running = append(info.Running, ws.leases[lease].job.ID)
			}
			slices.SortFunc(info.Running, func(a, b jobs.ID) int { return bytes.Compare(a[:], b[:]) })
			list = append(list, info)
		}
	}
	slices.SortFunc(list, func(a, b WorkerInfo) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// LostLeases is how many leases were lost since the start because their worker fell silent.
func (ws *Workers) LostLeases() int64 {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	return ws.lostLeases
}

// SetDirective sets the directive of a worker. A waiting call of the worker returns with it
// at once.
func (ws *Workers) SetDirective(tenant, id string, d Directive) error {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w, err := ws.getLocked(tenant, id)
	if err != nil {
		return err
	}
	w.directive = d
	ws.changed(tenant)
	ws.notifyLocked(id)
	return nil
}

// Unregister removes a worker. Its leases last until their deadline, unless it ends the
// attempts before.
func (ws *Workers) Unregister(tenant, id string) error {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	w, err := ws.getLocked(tenant, id)
	if err != nil {
		return err
	}
	ws.removeLocked(w)
	w.wakeCalls()
	return nil
}

func (ws *Workers) getLocked(tenant, id string) (*worker, error) {
	w := ws.all[id]
	if w == nil || w.tenant != tenant {
		return nil, jobs.NewProblem(jobs.NotFound, "Unknown worker", "Register again with POST /v1/workers; leases stay good.")
	}
	return w, nil
}

// cancel asks the worker that holds a lease, if it is one, to stop.
func (ws *Workers) cancel(lease string) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if h := ws.leases[lease]; h != nil {
		h.job.CancelRequested = true
		ws.notifyLocked(h.worker)
	}
}
