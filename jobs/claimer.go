package jobs

import (
	"crypto/rand"
	"slices"
)

// claimer is somebody who takes jobs: the slots of this process, or a parked poll of an
// outside worker. It is asked for in a commit only when there may be something for it,
// so that idle ones cost nothing.
type claimer struct {
	tenant    string
	kinds     []string         // sorted
	queues    []string         // sorted; all if empty
	prefix    string           // of its leases
	freeSlots func() int       // how many it takes now
	assign    func(jobs []Job) // gets them; called with Engine.mu held

	wantsJobs bool // there may be ready jobs for it
	limited   bool // limits held some back when it last asked
	claim     *Claim
	worker    *worker       // whose poll it is, if it is one
	share     *Share        // of the slots that it takes jobs for; nil if it need not be fair
	polled    chan struct{} // closed when it has been asked for once; nil if nobody waits for that
}

// markPolled lets go who waits for the first look.
func (c *claimer) markPolled() {
	if c.polled != nil {
		close(c.polled)
		c.polled = nil
	}
}

// The first letter of a lease says who holds it.
const (
	inProcess = "h"
	byWorker  = "w"
)

const maxClaims = 64 // in one batch

// addClaims asks in a batch for those who are hungry.
func (e *Engine) addClaims(b *Batch) {
	e.mu.Lock()
	defer e.mu.Unlock()
	fresh := map[Lane]int{}
	freed := len(b.Queues) > 0
	for _, c := range b.Changes {
		if c.Event.Type == JobQueued {
			fresh[laneOf(c.Job)]++
			e.tenants[c.Job.Tenant] = true
		}
		freed = freed || c.If.State == Running && c.Fields.Has(FieldState)
	}
	if freed {
		e.retryLimitedLocked()
	}
	e.wakeClaimersLocked(fresh)
	if e.draining {
		return
	}
	var allow map[QueueName]int
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
		c.claim = &Claim{Tenant: c.tenant, Kinds: c.kinds, Queues: c.queues, Leases: make([]string, n), Allow: allow}
		if c.share != nil {
			c.claim.Share = c.share.clone(e.severalTenantsLocked())
		}
		for i := range c.claim.Leases {
			c.claim.Leases[i] = c.prefix + rand.Text()
		}
		b.Claims = append(b.Claims, c.claim)
	}
}

// severalTenantsLocked reports whether jobs of several tenants are there, or may come.
func (e *Engine) severalTenantsLocked() bool {
	return len(e.tenants) > 1 || e.severalTenants != nil && e.severalTenants()
}

// wakeClaimersLocked makes claimers hungry for jobs that became ready, first come first served
// and no more of them than there are jobs.
func (e *Engine) wakeClaimersLocked(ready map[Lane]int) (fed bool) {
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

func laneOf(j Job) Lane { return Lane{QueueName{j.Tenant, j.Queue}, j.Kind} }

// serves reports whether a claimer takes jobs of a lane.
func (c *claimer) serves(l Lane) bool {
	return (&Claim{Tenant: c.tenant, Queues: c.queues, Kinds: c.kinds}).Covers(l)
}

// retryLimitedLocked lets those ask again who met a limit.
func (e *Engine) retryLimitedLocked() {
	for _, c := range e.claimers {
		c.wantsJobs = c.wantsJobs || c.limited
	}
}

// assignClaimed hands over what a batch claimed, or nothing if it failed.
func (e *Engine) assignClaimed(b *Batch, failed bool) {
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
		c.wantsJobs, c.limited = len(claim.Jobs) == len(claim.Leases) || len(claim.Kinds) < len(c.kinds), claim.Limited // a kind may have come meanwhile
		limited = limited || claim.Limited
		for _, j := range claim.Jobs {
			ready[laneOf(j)]--
			keyed = keyed || j.Key != ""
		}
		if len(claim.Jobs) > 0 {
			c.assign(claim.Jobs)
		}
		again = again || c.wantsJobs && c.freeSlots() > 0
	}
	if failed {
		return
	}
	if keyed && len(b.Claims) > 1 { // what one took may have made a job ready that another had looked for
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
