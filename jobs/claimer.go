package jobs

import (
	"crypto/rand"
	"slices"
	"time"
)

// claimer is somebody who takes jobs: the slots of this process, or a parked poll of an
// outside worker. It is asked for in a commit only when there may be something for it,
// so that idle ones cost nothing.
type claimer struct {
	tenant string
	kinds  []string         // sorted
	queues []string         // sorted; all if empty
	prefix string           // of its leases
	want   func() int       // how many it takes now
	take   func(jobs []Job) // gets them; called with Engine.mu held

	hungry  bool // there may be ready jobs for it
	limited bool // limits held some back when it last asked
	asked   *Claim
	worker  *worker       // whose poll it is, if it is one
	share   *Share        // of the slots that it takes jobs for; nil if it need not be fair
	tried   chan struct{} // closed when it has been asked for once; nil if nobody waits for that
}

// triedOnce lets go who waits for the first look.
func (c *claimer) triedOnce() {
	if c.tried != nil {
		close(c.tried)
		c.tried = nil
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
		e.unlimitLocked()
	}
	e.feedLocked(fresh)
	if e.draining {
		return
	}
	var allow map[QueueName]int
	for _, c := range e.claimers {
		if !c.hungry || c.asked != nil || len(c.kinds) == 0 || len(b.Claims) == maxClaims {
			continue
		}
		n := min(c.want(), maxBatchChanges)
		if n <= 0 {
			c.triedOnce()
			continue
		}
		if allow == nil {
			allow = e.allowLocked(b.Now)
		}
		if c.worker != nil {
			c.worker.asking += n
		}
		c.asked = &Claim{Tenant: c.tenant, Kinds: c.kinds, Queues: c.queues, Leases: make([]string, n), Allow: allow}
		if c.share != nil {
			c.asked.Share = c.share.clone(e.severalLocked())
		}
		for i := range c.asked.Leases {
			c.asked.Leases[i] = c.prefix + rand.Text()
		}
		b.Claims = append(b.Claims, c.asked)
	}
}

// severalLocked reports whether jobs of several tenants are there, or may come.
func (e *Engine) severalLocked() bool {
	return len(e.tenants) > 1 || e.several != nil && e.several()
}

// feedLocked makes claimers hungry for jobs that became ready, first come first served
// and no more of them than there are jobs.
func (e *Engine) feedLocked(ready map[Lane]int) (fed bool) {
	for _, c := range e.claimers {
		for lane, n := range ready {
			if n > 0 && c.asked == nil && c.serves(lane) {
				c.hungry, fed = true, true
				ready[lane] -= max(c.want(), 0)
			}
		}
	}
	return fed
}

func laneOf(j Job) Lane { return Lane{QueueName{j.Tenant, j.Queue}, j.Kind} }

// serves reports whether a claimer takes jobs of a lane.
func (c *claimer) serves(l Lane) bool {
	return (&Claim{Tenant: c.tenant, Queues: c.queues, Kinds: c.kinds}).Draws(l)
}

// unlimitLocked lets those ask again who met a limit.
func (e *Engine) unlimitLocked() {
	for _, c := range e.claimers {
		c.hungry = c.hungry || c.limited
	}
}

// claimed hands over what a batch claimed, or nothing if it failed.
func (e *Engine) claimed(b *Batch, failed bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	again, limited, keyed := false, false, false
	ready := b.Ready
	for _, c := range slices.Clone(e.claimers) {
		claim := c.asked
		if claim == nil {
			continue
		}
		c.asked = nil
		if c.worker != nil {
			c.worker.asking -= len(claim.Leases)
		}
		c.triedOnce()
		if failed {
			continue
		}
		c.hungry, c.limited = len(claim.Jobs) == len(claim.Leases) || len(claim.Kinds) < len(c.kinds), claim.Limited // a kind may have come meanwhile
		limited = limited || claim.Limited
		for _, j := range claim.Jobs {
			ready[laneOf(j)]--
			keyed = keyed || j.FairKey != ""
		}
		if len(claim.Jobs) > 0 {
			c.take(claim.Jobs)
		}
		again = again || c.hungry && c.want() > 0
	}
	if failed {
		return
	}
	if keyed && len(b.Claims) > 1 { // what one took may have made a job ready that another had looked for
		for _, c := range e.claimers {
			c.hungry = true
		}
		again = true
	}
	if e.feedLocked(ready) || again {
		e.commits.kick(true)
	}
	e.spendLocked(b, limited)
}

// bucket is the token bucket of a queue with a rate: it holds the starts of one period
// at most, and they come back evenly.
type bucket struct {
	rate   Rate
	tokens float64
	at     time.Time
	empty  bool // a claim took the last token, so that a job may wait for the next
}

func (k *bucket) refill(now time.Time) {
	if now.After(k.at) {
		k.tokens = min(float64(k.rate.N), k.tokens+float64(k.rate.N)*float64(now.Sub(k.at))/float64(k.rate.Per))
		k.at = now
	}
}

// next is when there is a whole token.
func (k *bucket) next() time.Time {
	missing := max(0, 1-k.tokens)
	return k.at.Add(time.Duration(missing*float64(k.rate.Per)/float64(k.rate.N)) + time.Millisecond)
}

// allowLocked is how many jobs may start now, of queues that have a rate.
func (e *Engine) allowLocked(now time.Time) map[QueueName]int {
	if len(e.buckets) == 0 {
		return nil
	}
	allow := make(map[QueueName]int, len(e.buckets))
	for name, k := range e.buckets {
		k.refill(now)
		allow[name] = int(k.tokens)
	}
	return allow
}

// spendLocked takes the tokens of what was started, and comes back when there are new ones.
func (e *Engine) spendLocked(b *Batch, limited bool) {
	for _, c := range b.Claims {
		for _, j := range c.Jobs {
			if k := e.buckets[QueueName{j.Tenant, j.Queue}]; k != nil {
				k.tokens--
			}
		}
	}
	if limited {
		for _, k := range e.buckets {
			if k.tokens < 1 {
				k.empty = true
				e.tending.by(k.next())
			}
		}
	}
}

// pool is a number of slots for handlers in this process.
type pool struct {
	*claimer     // takes jobs for them
	size     int // slots in all
}

func (e *Engine) newPool(slots int) *pool {
	share := &Share{Free: slots} // protected by Engine.mu
	p := &pool{size: slots, claimer: &claimer{prefix: inProcess, share: share, want: func() int { return share.Free }}}
	p.take = func(jobs []Job) {
		for _, job := range jobs {
			share.Take(QueueName{job.Tenant, job.Queue}, job.FairKey)
			e.startLocked(job, p)
		}
	}
	return p
}

// freeSlot gives back the slot of an attempt that ended.
func (e *Engine) freeSlot(r *Run) {
	e.mu.Lock()
	p := r.slots
	p.share.give(QueueName{r.job.Tenant, r.job.Queue}, r.job.FairKey)
	p.hungry = p.hungry || p.limited // there is more to share
	more := p.hungry && !e.draining
	e.mu.Unlock()
	if more {
		e.commits.kick(true)
	}
}
