package usage

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"
)

// summary is what was counted in an hour or a day that is over, by fewer words. Most questions
// need only one of its blocks. It is made of the hours when it is needed; those of days before.
type summary struct {
	version int // rises with each change of what was counted
	used    time.Time
	blocks  [summaryKinds][]byte
}

// Kinds of blocks of a summary.
const (
	ofConsumers = iota // by the consumer, with the status 500 for errors and 200 for others
	ofTargets          // by all words but the consumer
	summaryKinds
	noSummary = -1
)

// period is a time that has a summary: an hour or a day, in seconds.
type period struct{ start, width int64 }

const hourUnused = time.Hour // after it the summary of an hour is dropped

func (d *summary) change() { *d = summary{version: d.version + 1} }

// prepare makes the summaries of the days that are over, and drops those of hours that are not used.
func (u *Usage) prepare(ctx context.Context, now time.Time) {
	todo := map[string][]period{}
	u.mu.Lock()
	for name, t := range u.tenants {
		for p, d := range t.summaries {
			if p.width != day && now.Sub(d.used) > hourUnused {
				delete(t.summaries, p)
			}
		}
		todo[name] = t.periods(math.MinInt64, floor(now.Unix(), day), day)
	}
	u.mu.Unlock()
	for name, periods := range todo {
		for kind := range summaryKinds {
			if err := u.summarise(ctx, name, periods, kind); err != nil && ctx.Err() == nil {
				u.Logger.Error("days of the usage can't be added up", "tenant", name, "error", err)
			}
		}
	}
}

// periods returns the periods of one width that have something and are within a time, which
// begins and ends with such a period.
func (t *tenant) periods(from, to, width int64) (all []period) {
	for start := range t.spans[hours] {
		if p := (period{floor(start, width), width}); p.start >= from && p.start < to {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b period) int { return cmp.Compare(a.start, b.start) })
	return slices.Compact(all)
}

// summarise makes one block of the summaries of some periods, where there is none.
func (u *Usage) summarise(ctx context.Context, name string, periods []period, kind int) error {
	for _, p := range periods {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		d, version, blocks := u.outdated(name, p, kind)
		if d == nil {
			continue
		}
		made, err := summaryOf(blocks, kind)
		if err != nil {
			return err
		}
		u.mu.Lock()
		if d.version == version {
			d.blocks[kind] = made
		}
		u.mu.Unlock()
	}
	return nil
}

// outdated returns the summary of a period that lacks a block, its version, and what that block
// is made of; nil if the block is there.
func (u *Usage) outdated(name string, p period, kind int) (d *summary, version int, blocks [][]byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	t := u.tenants[name]
	if t == nil {
		return nil, 0, nil
	}
	if d = t.summaries[p]; d == nil {
		d = &summary{}
		t.summaries[p] = d
	}
	d.used = time.Now()
	if d.blocks[kind] != nil {
		return nil, 0, nil
	}
	for at := p.start; at < p.start+p.width; at += hours.width {
		if s := t.spans[hours][at]; s != nil {
			blocks = append(blocks, s.blocks()...)
		}
	}
	return d, d.version, blocks
}

// summaryOf makes one block of a summary.
func summaryOf(blocks [][]byte, kind int) ([]byte, error) {
	by := []string{"consumer", "status"}
	if kind == ofTargets {
		by = []string{"api", "version", "route", "status", "model"}
	}
	g := newGroups(by, nil, math.MaxInt)
	for _, block := range blocks {
		if err := g.add(block); err != nil {
			return nil, err
		}
	}
	if kind == ofTargets {
		return g.table().encode(nil), nil
	}
	all := table{}
	for s, r := range g.table() {
		if isError(s.status) {
			s.status = 500
		} else {
			s.status = 200
		}
		all.add(s, r)
	}
	return all.encode(nil), nil
}

// foldOldest takes the consumers out of the oldest days if the hours take too many bytes.
func (u *Usage) foldOldest(now time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	total := 0
	days := map[int64][]*span{}
	var starts []int64
	for _, t := range u.tenants {
		for start, s := range t.spans[hours] {
			total += len(s.data)
			at := floor(start, day)
			if at+day > now.Unix() || s.folded || s.pending() || len(s.fresh) > 0 {
				continue
			}
			if days[at] == nil {
				starts = append(starts, at)
			}
			days[at] = append(days[at], s)
		}
	}
	slices.Sort(starts)
	for _, at := range starts {
		if total <= u.MaxBytes {
			return
		}
		u.Logger.Warn("the usage takes more memory than it may; a day is no longer kept by consumer", "day", textOf(time.Unix(at, 0)), "bytes", total, "limit", u.MaxBytes)
		for _, s := range days[at] {
			before := len(s.data)
			if err := s.fold(); err != nil {
				u.Logger.Error("an hour of the usage can't be made smaller", "error", err)
			}
			total += len(s.data) - before
		}
		for _, t := range u.tenants {
			t.touch(at)
		}
	}
}
