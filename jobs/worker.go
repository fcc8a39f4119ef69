package jobs

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"
)

// WorkerSpec is how an outside worker introduces itself.
type WorkerSpec struct {
	Name   string
	Kinds  []string
	Queues []string // empty for all
	Slots  int      // attempts at the same time
}

// Directive is what a worker should do on the whole.
type Directive string

const (
	Go        Directive = "none"      // work
	Quiet     Directive = "quiet"     // take no further jobs, finish those it has
	Terminate Directive = "terminate" // give its jobs back and end
)

// LeaseState is what a worker should do about one lease.
type LeaseState string

const (
	Ok     LeaseState = "ok"
	Cancel LeaseState = "cancel" // stop; what is completed within CancelGrace still counts
	Lost   LeaseState = "lost"   // stop; nothing it says about the job counts
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
	asking    int             // leases that claims under way ask for
	lost      []string        // tokens of leases that it has not been told of
	calls     int             // leases and beats that are served
	parked    int             // of these, how many wait
	news      bool            // there is a command that no call has brought it yet
	wake      chan struct{}   // closed and replaced when news comes
}

// WorkerInfo is a worker as operators see it.
type WorkerInfo struct {
	WorkerSpec
	ID        string
	Seen      time.Time
	Directive Directive
	Running   []ID // jobs that it holds
}

// Leased is what a lease or beat call brings.
type Leased struct {
	Jobs      []Job
	Leases    map[string]LeaseState // by token
	Directive Directive
}

// LeaseTime is how long a worker may be silent about a lease; it should renew after a
// third of it.
func (e *Engine) LeaseTime() time.Duration { return e.lease }

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
	for _, p := range e.slots {
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
	return e.lost
}

// Direct gives a worker a directive, which it hears at once if a call of it waits.
func (e *Engine) Direct(tenant, id string, d Directive) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	w, err := e.workerLocked(tenant, id)
	if err != nil {
		return err
	}
	w.directive = d
	e.newsLocked(id)
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
	e.forgetLocked(w)
	w.stir()
	return nil
}

func (e *Engine) workerLocked(tenant, id string) (*worker, error) {
	w := e.workers[id]
	if w == nil || w.tenant != tenant {
		return nil, newProblem(NotFound, "Unknown worker", "Register again with POST /v1/workers; leases stay good.")
	}
	return w, nil
}

// callLocked counts a call of a worker in; leave counts it out.
func (e *Engine) callLocked(tenant, id string) (leave func(), err error) {
	w, err := e.workerLocked(tenant, id)
	if err != nil {
		return nil, err
	}
	if w.calls >= w.Slots+MaxSpareCalls {
		return nil, newProblem(LimitExceeded, "Too many calls", "%d calls of this worker wait already. Wait for one to be answered.", w.calls)
	}
	w.calls++
	return func() { w.calls-- }, nil
}

// newsLocked wakes the waiting calls of a worker.
func (e *Engine) newsLocked(id string) {
	if w := e.workers[id]; w != nil {
		w.news = true
		w.stir()
	}
}

// stir makes the waiting calls of a worker look again.
func (w *worker) stir() {
	close(w.wake)
	w.wake = make(chan struct{})
}

// Lease waits until there is work for a worker, a command, or wait is over. It gives up
// to most jobs, never more than the worker has free slots.
func (e *Engine) Lease(ctx context.Context, tenant, id string, most int, wait time.Duration) (Leased, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	e.mu.Lock()
	defer e.mu.Unlock()
	leave, err := e.callLocked(tenant, id)
	if err != nil {
		return Leased{}, err
	}
	defer leave()
	for {
		w, err := e.workerLocked(tenant, id)
		if err != nil {
			return Leased{}, err
		}
		w.seen = time.Now()
		over := false
		if w.directive == Go && !e.draining {
			jobs, done, err := e.parkLocked(ctx, w, most, timer.C)
			if len(jobs) > 0 || err != nil {
				return Leased{Jobs: jobs, Leases: e.heldLocked(w, nil), Directive: w.directive}, err
			}
			over = done
		} else if !w.news && w.directive != Terminate {
			over = e.sleepLocked(ctx, w, timer.C)
		}
		if w.news || over || w.directive == Terminate || ctx.Err() != nil {
			w.news = false
			return Leased{Leases: e.heldLocked(w, nil), Directive: w.directive}, nil
		}
	}
}

// parkLocked waits for jobs, a command or the end of the time. It unlocks meanwhile.
func (e *Engine) parkLocked(ctx context.Context, w *worker, most int, over <-chan time.Time) (jobs []Job, done bool, err error) {
	if e.freeLocked(w) <= 0 || w.news {
		if w.news {
			return nil, false, nil
		}
		return nil, e.sleepLocked(ctx, w, over), nil
	}
	got := make(chan []Job, 1)
	c := &claimer{tenant: w.tenant, kinds: w.kinds, queues: w.queues, prefix: byWorker, hungry: true, worker: w,
		want: func() int { return min(most, e.freeLocked(w)) }}
	c.take = func(jobs []Job) {
		e.unparkLocked(c)
		for _, j := range jobs {
			w.holds[j.Lease] = true
			e.leases[j.Lease] = newHeld(&Run{engine: e, job: j}, w.id, time.Now().Add(e.lease))
			e.tending.by(e.leases[j.Lease].deadline())
		}
		for i := range jobs {
			jobs[i].Input = jobs[i].Credentials.Join(jobs[i].Input)
		}
		got <- jobs
	}
	tried := make(chan struct{})
	c.tried = tried
	e.claimers = append(e.claimers, c)
	e.commits.kick(true)
	e.mu.Unlock()
	select { // also a call that does not want to wait gets what is there
	case <-tried:
	case <-e.failed:
	case <-e.drained:
	case <-ctx.Done():
	}
	e.mu.Lock()
	if len(got) == 0 && !w.news {
		done = e.sleepLocked(ctx, w, over, got)
	}
	for c.asked != nil { // it is in a batch: see what comes of it
		e.mu.Unlock()
		e.commits.flush()
		e.mu.Lock()
	}
	e.unparkLocked(c)
	select {
	case jobs = <-got:
	default:
	}
	if ctx.Err() != nil { // nobody is there to hear of them
		for _, j := range jobs {
			e.dropLocked(j.Lease, false)
		}
		e.mu.Unlock()
		e.giveBack(jobs)
		e.mu.Lock()
		return nil, true, e.unavailable(refusal{context.Cause(ctx)})
	}
	return jobs, done, nil
}

// freeLocked is how many jobs a worker can take besides those that it holds or that are
// being claimed for its other polls.
func (e *Engine) freeLocked(w *worker) int { return w.Slots - len(w.holds) - w.asking }

// giveBack releases jobs that their worker has never heard of.
func (e *Engine) giveBack(jobs []Job) {
	for _, j := range jobs {
		if err := e.commits.put(context.Background(), newOp(release(j))); err != nil {
			e.log.Warn("giving a job back", "job", j.ID, "error", err)
		}
	}
}

func (e *Engine) unparkLocked(c *claimer) {
	e.claimers = slices.DeleteFunc(e.claimers, func(other *claimer) bool { return other == c })
}

// sleepLocked unlocks until there is news for a worker, jobs, or no more time (true).
func (e *Engine) sleepLocked(ctx context.Context, w *worker, over <-chan time.Time, got ...chan []Job) (done bool) {
	wake, drained := w.wake, e.drained
	w.parked++
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		w.parked--
		w.seen = time.Now()
	}()
	var jobs chan []Job
	if len(got) > 0 {
		jobs = got[0]
	}
	if e.isDraining() {
		drained = nil // it is known; wait for the time or a command
	}
	select {
	case <-wake:
	case <-drained:
		return true
	case list := <-jobs:
		jobs <- list
	case <-over:
		return true
	case <-ctx.Done():
		return true
	}
	return false
}

func (e *Engine) isDraining() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.draining
}

// Beat renews leases, by their tokens, and says what to do about each. With wait it
// returns early on a command.
func (e *Engine) Beat(ctx context.Context, tenant, id string, tokens []string, wait time.Duration) (Leased, error) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	e.mu.Lock()
	defer e.mu.Unlock()
	leave, err := e.callLocked(tenant, id)
	if err != nil {
		return Leased{}, err
	}
	defer leave()
	w := e.workers[id]
	w.seen = time.Now()
	for _, token := range tokens {
		_, lease, err := parseToken(token)
		if h := e.leases[lease]; err == nil && h != nil && h.run.job.Tenant == tenant {
			if old := e.workers[h.worker]; old != nil && old != w {
				delete(old.holds, lease)
			}
			h.worker, h.until = id, time.Now().Add(e.lease)
			w.holds[lease] = true
			e.tending.by(h.deadline())
		}
	}
	if wait > 0 && !w.news && w.directive == Go {
		e.sleepLocked(ctx, w, timer.C)
	}
	w.news = false
	return Leased{Leases: e.heldLocked(w, tokens), Directive: w.directive}, nil
}

// heldLocked says what to do about leases: about those named, or all of the worker.
// To say that one should stop begins its grace.
func (e *Engine) heldLocked(w *worker, tokens []string) map[string]LeaseState {
	states := map[string]LeaseState{}
	for _, token := range w.lost {
		states[token] = Lost
	}
	w.lost = nil
	for _, token := range tokens {
		_, lease, err := parseToken(token)
		if states[token] = Lost; err == nil {
			states[token] = e.stateLocked(w.tenant, lease)
		}
	}
	if tokens == nil {
		for lease := range w.holds {
			states[Token(&e.leases[lease].run.job)] = e.stateLocked(w.tenant, lease)
		}
	}
	return states
}

func (e *Engine) stateLocked(tenant, lease string) LeaseState {
	h := e.leases[lease]
	if h == nil || h.run.job.Tenant != tenant {
		return Lost
	}
	if !h.run.job.CancelRequested {
		return Ok
	}
	if h.told.IsZero() {
		h.told = time.Now()
		e.tending.by(h.deadline())
	}
	return Cancel
}
