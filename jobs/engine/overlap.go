package engine

import (
	"errors"
	"time"

	"jobhub/jobs"
	"jobhub/jobs/engine/transition"
	"jobhub/jobs/schedule"
)

// errSkipped is the outcome of a tick that is skipped because of an earlier run.
var errSkipped = errors.New("an earlier run is unfinished")

// runsUnfinished is the outcome of a tick that has to wait for earlier runs with another
// queue or ordering key: they were submitted before the schedule was changed.
type runsUnfinished struct{ cancel []jobs.ID }

func (p *runsUnfinished) Error() string {
	return "an earlier run, submitted before the schedule was changed, is unfinished"
}

// applyOverlap lets unfinished runs decide about a tick's job, as the schedule's Overlap
// says.
func (ss *Schedules) applyOverlap(t *tick, c *jobs.Change) {
	if t.Overlap == "" || t.Overlap == schedule.Overlaps[0] {
		return
	}
	c.Peers = append(c.Peers, &jobs.Peers{Schedule: t.Name, Decide: func(runs []jobs.Job) (list []*jobs.Change, err error) {
		if t.Overlap == "skip" {
			return nil, errSkipped
		}
		t.replaced = nil
		var off *runsUnfinished
		for _, run := range runs {
			if run.Queue != c.Job.Queue || run.OrderingKey != c.Job.OrderingKey {
				if off == nil {
					off = &runsUnfinished{}
				}
				if t.Overlap == "replace" {
					off.cancel = append(off.cancel, run.ID)
				}
			}
			if t.Overlap == "replace" && !run.CancelRequested {
				cancel := transition.Cancel(run)
				cancel.Follow = ss.engine.deliveries.follow(cancel.Event.Type, time.Now().Truncate(time.Millisecond))
				list = append(list, cancel)
				t.replaced = append(t.replaced, cancel)
			}
		}
		if off != nil {
			return nil, off
		}
		return list, nil
	}})
}

// signalReplaced stops the running runs that a tick has replaced.
func (ss *Schedules) signalReplaced(t *tick) {
	for _, c := range t.replaced {
		if c.If.State != jobs.Running {
			continue
		}
		if !c.Job.WakeAt.IsZero() {
			ss.engine.due.setBy(c.Job.WakeAt)
		}
		ss.engine.signal(c.If.Lease, jobs.ErrCancelRequested)
	}
}
