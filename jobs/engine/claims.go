package engine

import (
	"crypto/rand"
	"slices"
	"sync"

	"jobhub/jobs"
	"jobhub/jobs/engine/commit"
)

// claimer claims jobs: for the slots of this process, or for a waiting poll of an outside
// worker. A commit carries its claim only if there may be ready jobs for it: claim in the
// next commit, so idle claimers cost nothing.
type claimer struct {
	tenant    string
	kinds     []string              // sorted
	queues    []string              // sorted; all if empty
	prefix    string                // of its leases
	freeSlots func() int            // how many jobs it can take now
	assign    func(jobs []jobs.Job) // starts the claimed jobs or hands them to the worker; called with claims.mu held

	wantsJobs bool // there may be ready jobs for it
	limited   bool // its last claim found jobs that a limit held back
	claim     *jobs.Claim
	worker    *worker       // whose poll it is, if it is one
	share     *jobs.Share   // of the slots that it takes jobs for; nil if it need not be fair
	polled    chan struct{} // closed after its first claim; nil if nobody waits for that
}

// markPolled releases the poll that waits for the first claim.
func (c *claimer) markPolled() {
	if c.polled != nil {
		close(c.polled)
		c.polled = nil
	}
}

const maxClaims = 64 // in one batch

// claims decides which jobs start, and for whom:
//
//	Committer → add → Store.Commit → assign → claimer.assign: a slot of this process or a poll
type claims struct {
	commits        *commit.Committer
	upkeep         alarm
	severalTenants func() bool // Options.SeveralTenants
	notify         func(jobs.Notice)

	mu       sync.Mutex      // protects the fields below, and the claimers; and those of Workers
	claimers []*claimer      // all, in the order in which they came
	tenants  map[string]bool // that have had unfinished jobs since the start
	buckets  map[jobs.QueueName]*tokenBucket
	draining bool
	drained  chan struct{} // closed when draining
}

func newClaims(commits *commit.Committer, upkeep alarm, severalTenants func() bool, notify func(jobs.Notice)) *claims {
	return &claims{commits: commits, upkeep: upkeep, severalTenants: severalTenants, notify: notify, tenants: map[string]bool{}, buckets: map[jobs.QueueName]*tokenBucket{}, drained: make(chan struct{})}
}

// stop ends claiming.
func (cs *claims) stop() {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if !cs.draining {
		cs.draining = true
		close(cs.drained)
	}
}

// add adds the claims of all claimers that want jobs to a batch.
func (cs *claims) add(b *jobs.Batch) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	fresh := map[jobs.Lane]int{}
	freed := len(b.Queues) > 0
	for _, c := range b.Changes {
		if c.Event.Type == jobs.JobQueued {
			fresh[laneOf(c.Job)]++
			cs.tenants[c.Job.Tenant] = true
		}
		freed = freed || c.If.State == jobs.Running && c.Fields.Has(jobs.FieldState)
	}
	if freed {
		cs.retryLimitedLocked()
	}
	cs.wakeLocked(fresh)
	if cs.draining {
		return
	}
	var allow map[jobs.QueueName]int
	for _, c := range cs.claimers {
		if !c.wantsJobs || c.claim != nil || len(c.kinds) == 0 || len(b.Claims) == maxClaims {
			continue
		}
		n := min(c.freeSlots(), commit.MaxChanges)
		if n <= 0 {
			c.markPolled()
			continue
		}
		if allow == nil {
			allow = cs.startsAllowedLocked(b.Now)
		}
		if c.worker != nil {
			c.worker.claiming += n
		}
		c.claim = &jobs.Claim{Tenant: c.tenant, Kinds: c.kinds, Queues: c.queues, Leases: make([]string, n), Allow: allow}
		if c.share != nil {
			several := len(cs.tenants) > 1 || cs.severalTenants != nil && cs.severalTenants() // there are, or may come, jobs of several tenants
			c.claim.Share = c.share.Clone(several)
		}
		for i := range c.claim.Leases {
			c.claim.Leases[i] = c.prefix + rand.Text()
		}
		b.Claims = append(b.Claims, c.claim)
	}
}

// wakeLocked marks at most as many claimers as jobs became ready, oldest first.
func (cs *claims) wakeLocked(ready map[jobs.Lane]int) (fed bool) {
	for _, c := range cs.claimers {
		for lane, n := range ready {
			if n > 0 && c.claim == nil && c.serves(lane) {
				c.wantsJobs, fed = true, true
				ready[lane] -= max(c.freeSlots(), 0)
			}
		}
	}
	return fed
}

func laneOf(j jobs.Job) jobs.Lane {
	return jobs.Lane{QueueName: jobs.QueueName{Tenant: j.Tenant, Name: j.Queue}, Kind: j.Kind}
}

// serves reports whether a claimer takes jobs of a lane.
func (c *claimer) serves(l jobs.Lane) bool {
	return (&jobs.Claim{Tenant: c.tenant, Queues: c.queues, Kinds: c.kinds}).Covers(l)
}

// retryLimitedLocked marks the claimers whose last claim met a limit: the limit may have
// changed.
func (cs *claims) retryLimitedLocked() {
	for _, c := range cs.claimers {
		c.wantsJobs = c.wantsJobs || c.limited
	}
}

// assign gives each claimer the jobs that a batch claimed for it; none if the batch
// failed.
func (cs *claims) assign(b *jobs.Batch, failed bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	again, limited, keyed := false, false, false
	ready := b.Ready
	for _, c := range slices.Clone(cs.claimers) {
		claim := c.claim
		if claim == nil {
			continue
		}
		c.claim = nil
		if c.worker != nil {
			c.worker.claiming -= len(claim.Leases)
		}
		c.markPolled()
		if failed {
			continue
		}
		c.wantsJobs, c.limited = len(claim.Jobs) == len(claim.Leases) || len(claim.Kinds) < len(c.kinds), claim.Limited // a handler may have been added meanwhile
		limited = limited || claim.Limited
		for _, j := range claim.Jobs {
			ready[laneOf(j)]--
			keyed = keyed || j.FairKey != ""
		}
		if len(claim.Jobs) > 0 {
			c.assign(claim.Jobs)
		}
		again = again || c.wantsJobs && c.freeSlots() > 0
	}
	if failed {
		return
	}
	if keyed && len(b.Claims) > 1 { // taking a job of a key can make the next one ready, after another claim of the batch had looked for it
		for _, c := range cs.claimers {
			c.wantsJobs = true
		}
		again = true
	}
	if cs.wakeLocked(ready) || again {
		cs.commits.Trigger(true)
	}
	cs.spendLocked(b, limited)
}

func (cs *claims) removeLocked(c *claimer) {
	cs.claimers = slices.DeleteFunc(cs.claimers, func(other *claimer) bool { return other == c })
}

// lookAgain makes all claimers look for jobs, because settings or handlers have changed.
func (cs *claims) lookAgain() {
	cs.mu.Lock()
	for _, c := range cs.claimers {
		c.wantsJobs = true
	}
	cs.mu.Unlock()
	cs.commits.Trigger(true)
}
