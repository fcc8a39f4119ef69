package engine

import (
	"crypto/rand"
	"slices"

	"jobhub/jobs"
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
	assign    func(jobs []jobs.Job) // starts the claimed jobs or hands them to the worker; called with Engine.mu held

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

// addClaims adds the claims of all claimers that want jobs to a batch.
func (e *Engine) addClaims(b *jobs.Batch) {
	e.mu.Lock()
	defer e.mu.Unlock()
	fresh := map[jobs.Lane]int{}
	freed := len(b.Queues) > 0
	for _, c := range b.Changes {
		if c.Event.Type == jobs.JobQueued {
			fresh[laneOf(c.Job)]++
			e.tenants[c.Job.Tenant] = true
		}
		freed = freed || c.If.State == jobs.Running && c.Fields.Has(jobs.FieldState)
	}
	if freed {
		e.retryLimitedLocked()
	}
	e.wakeClaimersLocked(fresh)
	if e.draining {
		return
	}
	var allow map[jobs.QueueName]int
	for _, c := range e.claimers {
		if !c.wantsJobs || c.claim != nil || len(c.kinds) == 0 || len(b.Claims) == maxClaims {
			continue
		}
		n := min(c.freeSlots(), maxBatchChanges)
		if n <= 0 {
			c.markPolled()
			continue
		}
		if allow == nil {
			allow = e.startsAllowedLocked(b.Now)
		}
		if c.worker != nil {
			c.worker.claiming += n
		}
		c.claim = &jobs.Claim{Tenant: c.tenant, Kinds: c.kinds, Queues: c.queues, Leases: make([]string, n), Allow: allow}
		if c.share != nil {
			c.claim.Share = c.share.Clone(e.severalTenantsLocked())
		}
		for i := range c.claim.Leases {
			c.claim.Leases[i] = c.prefix + rand.Text()
		}
		b.Claims = append(b.Claims, c.claim)
	}
}

// severalTenantsLocked reports whether there are, or may come, jobs of several tenants.
func (e *Engine) severalTenantsLocked() bool {
	return len(e.tenants) > 1 || e.severalTenants != nil && e.severalTenants()
}

// wakeClaimersLocked marks at most as many claimers as jobs became ready, oldest first.
func (e *Engine) wakeClaimersLocked(ready map[jobs.Lane]int) (fed bool) {
	for _, c := range e.claimers {
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
func (e *Engine) retryLimitedLocked() {
	for _, c := range e.claimers {
		c.wantsJobs = c.wantsJobs || c.limited
	}
}

// assignClaimed gives each claimer the jobs that a batch claimed for it; none if the batch
// failed.
func (e *Engine) assignClaimed(b *jobs.Batch, failed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	again, limited, keyed := false, false, false
	ready := b.Ready
	for _, c := range slices.Clone(e.claimers) {
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
		for _, c := range e.claimers {
			c.wantsJobs = true
		}
		again = true
	}
	if e.wakeClaimersLocked(ready) || again {
		e.commits.trigger(true)
	}
	e.spendTokensLocked(b, limited)
}
