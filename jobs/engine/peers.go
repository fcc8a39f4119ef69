package engine

import (
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine/transition"
)

// uniquePeers are the jobs that are equal to a job by its Unique, and what happens if there
// are any.
func (e *Engine) uniquePeers(j *jobs.Job) []*jobs.Peers {
	if j.Unique == nil {
		return nil
	}
	p := transition.EqualTo(j)
	p.Decide = func(peers []jobs.Job) ([]*jobs.Change, error) {
		switch j.Unique.Conflict {
		case "replace":
			return e.replace(peers)
		case "refuse":
			return nil, jobs.NewProblem(jobs.Conflict, "Not unique", "The job %s, which is %s, is the same by unique.by; nothing was stored.", peers[0].ID, peers[0].State)
		}
		return nil, &jobs.Existing{Job: peers[0]}
	}
	return []*jobs.Peers{p}
}

// replace cancels unfinished jobs so that an equal one can take their place; a problem if one
// of them runs.
func (e *Engine) replace(peers []jobs.Job) (list []*jobs.Change, err error) {
	for _, old := range peers {
		if old.State == jobs.Running {
			return nil, jobs.NewProblem(jobs.Conflict, "Not replaced", "The job %s is the same and runs; nothing was stored. Cancel it first, or wait for its end.", old.ID)
		}
		if !old.State.Final() {
			c := transition.Cancel(old)
			c.Follow = e.deliveries.follow(jobs.JobCancelled, time.Now().Truncate(time.Millisecond))
			list = append(list, c)
		}
	}
	return list, nil
}
