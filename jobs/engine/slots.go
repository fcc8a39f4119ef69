package engine

import (
	"jobhub/jobs"
)

// slotPool is the slots of handlers in this process; each runs one attempt.
type slotPool struct {
	*claimer     // claims jobs for the slots
	size     int // slots in all
}

func (e *Engine) newSlotPool(slots int) *slotPool {
	share := &jobs.Share{Free: slots} // protected by Engine.mu
	p := &slotPool{size: slots, claimer: &claimer{prefix: inProcess, share: share, freeSlots: func() int { return share.Free }}}
	p.assign = func(claimed []jobs.Job) {
		for _, job := range claimed {
			share.Acquire(jobs.QueueName{Tenant: job.Tenant, Name: job.Queue}, job.FairKey)
			e.startRunLocked(job, p)
		}
	}
	return p
}

// freeSlot gives back the slot of an attempt that ended.
func (e *Engine) freeSlot(r *attemptRun) {
	e.mu.Lock()
	p := r.pool
	p.share.Release(jobs.QueueName{Tenant: r.job.Tenant, Name: r.job.Queue}, r.job.FairKey)
	p.wantsJobs = p.wantsJobs || p.limited // a free slot changes the shares
	more := p.wantsJobs && !e.draining
	e.mu.Unlock()
	if more {
		e.commits.trigger(true)
	}
}
