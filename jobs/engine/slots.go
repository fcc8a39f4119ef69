package engine

import (
	"jobhub/jobs"
	"jobhub/jobs/engine/transition"
)

// slotPool is the slots of handlers in this process; each runs one attempt.
type slotPool struct {
	*claimer     // claims jobs for the slots
	size     int // slots in all
}

// addPool makes slots; start is called with each job that was claimed for one.
func (cs *claims) addPool(slots int, start func(jobs.Job, *slotPool)) *slotPool {
	share := &jobs.Share{Free: slots} // protected by claims.mu
	p := &slotPool{size: slots, claimer: &claimer{prefix: transition.InProcess, share: share, freeSlots: func() int { return share.Free }}}
	p.assign = func(claimed []jobs.Job) {
		for _, job := range claimed {
			share.Acquire(jobs.QueueName{Tenant: job.Tenant, Name: job.Queue}, job.FairKey)
			start(job, p)
		}
		cs.notify(jobs.Notice{Subject: jobs.HandlersChanged})
	}
	cs.claimers = append(cs.claimers, p.claimer)
	return p
}

// freeSlot gives back the slot of an attempt that ended.
func (cs *claims) freeSlot(p *slotPool, job *jobs.Job) {
	cs.mu.Lock()
	p.share.Release(jobs.QueueName{Tenant: job.Tenant, Name: job.Queue}, job.FairKey)
	p.wantsJobs = p.wantsJobs || p.limited // a free slot changes the shares
	more := p.wantsJobs && !cs.draining
	cs.mu.Unlock()
	cs.notify(jobs.Notice{Subject: jobs.HandlersChanged})
	if more {
		cs.commits.Trigger(true)
	}
}
