package sqlite

import (
	"slices"

	"jobhub/jobs"
)

// A batch that meets a damaged page is stored a second time, with each change isolated in a
// savepoint: changes that meet the damage fail, and all others are stored.

// save returns the state of the commit in memory as a function that returns to it.
func (c *commit) save() (restore func()) {
	events, queues, marks, woken := c.events.save(), c.queues.save(), c.marks.save(), c.woken
	return func() {
		events()
		queues()
		marks()
		c.rows.forget()
		c.woken = woken
	}
}

// isolated runs a part of a commit. If the commit is isolating and the part meets damage, all
// that it did is undone, and the damage is its outcome. what names the part for the log; it
// is called only then.
func (c *commit) isolated(what func() string, part func() error) (damage, err error) {
	if !c.isolating {
		return nil, part()
	}
	restore := c.save()
	if err := c.exec("SAVEPOINT part"); err != nil {
		return nil, err
	}
	err = part()
	if err == nil {
		err = c.rows.flush()
	}
	if isDamage(err) && !c.write.AutocommitEnabled() {
		damage = c.damaged(err, "%s", what())
		if err := c.exec("ROLLBACK TO part"); err != nil {
			return nil, err
		}
		restore()
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return damage, c.exec("RELEASE part")
}

// maxUnreadable is how many damaged jobs claims can skip.
const maxUnreadable = 1000

// startAttemptAlone is startAttempt, isolated: false if the job is damaged. Claims then skip
// the job.
func (c *commit) startAttemptAlone(n int64, lease string, follow func(*jobs.Job) []*jobs.Change) (job jobs.Job, ok bool, err error) {
	damage, err := c.isolated(func() string { return "claiming a job" }, func() (err error) { job, err = c.startAttempt(n, lease, follow); return err })
	if damage != nil {
		if len(c.unreadable) >= maxUnreadable {
			return job, false, damage
		}
		c.unreadable[n] = true
	}
	return job, damage == nil, err
}

// readable are the candidates that are not known to be damaged.
func (c *commit) readable(found []candidate) []candidate {
	return slices.DeleteFunc(found, func(f candidate) bool { return c.unreadable[f.n] })
}
