package sqlite

import (
	"maps"
	"slices"

	"jobhub/jobs"
)

// A batch that meets a damaged page is stored once more, carefully: each change on its
// own, so that those that meet the damage are refused and all others are stored.

// saved is what of a commit has to be taken back with a change.
type saved struct {
	seq    uint64
	events int
	made   int
	moved  map[*queue]counts
	set    map[*queue]jobs.QueueSettings
	opened map[jobs.Lane]int
	woken  bool
}

func (c *commit) save() saved {
	s := saved{seq: c.seq, events: len(c.events), made: len(c.made), moved: map[*queue]counts{}, set: maps.Clone(c.set), opened: maps.Clone(c.opened), woken: c.woken}
	for q, by := range c.moved {
		s.moved[q] = *by
	}
	return s
}

func (c *commit) restore(s saved) {
	c.Store.forget(c.made[s.made:])
	c.seq, c.events, c.made, c.set, c.opened, c.woken = s.seq, c.events[:s.events], c.made[:s.made], s.set, s.opened, s.woken
	clear(c.moved)
	for q, by := range s.moved {
		c.moved[q] = &by
	}
	clear(c.rows)
	c.order = c.order[:0]
}

// alone runs a part of a commit. If it meets damage and the commit is careful, all that
// it did is taken back, and the damage is its outcome. what names the part; it is only
// called then.
func (c *commit) alone(what func() string, part func() error) (damage, err error) {
	if !c.careful {
		return nil, part()
	}
	before := c.save()
	if err := c.exec("SAVEPOINT part"); err != nil {
		return nil, err
	}
	err = part()
	if err == nil {
		err = c.flush()
	}
	if isDamage(err) && !c.write.AutocommitEnabled() {
		damage = c.damaged(err, "%s", what())
		if err := c.exec("ROLLBACK TO part"); err != nil {
			return nil, err
		}
		c.restore(before)
		err = nil
	}
	if err != nil {
		return nil, err
	}
	return damage, c.exec("RELEASE part")
}

// maxPassedOver is how many damaged jobs are remembered, which claims pass over.
const maxPassedOver = 1000

// takeAlone is take for a careful commit: false if the job is damaged. It is then passed
// over from now on.
func (c *commit) takeAlone(n int64, lease string, follow func(*jobs.Job) []*jobs.Change) (job jobs.Job, ok bool, err error) {
	damage, err := c.alone(func() string { return "claiming a job" }, func() (err error) { job, err = c.take(n, lease, follow); return err })
	if damage != nil {
		if len(c.unreadable) >= maxPassedOver {
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
