package usage

import (
	"context"
	"math"
	"slices"
	"time"
)

// summary is what was counted in a day that is over, in two blocks: by the consumer (with the status 500 for errors and 200
// for others), and by all words but the consumer. Most questions about long times need only one of these. It is made of the hours
// when it is needed, or before.
type summary struct {
	version         int // rises with each change of what was counted
	consumers, rest []byte
}

func (d *summary) change() { *d = summary{version: d.version + 1} }

// prepare makes the summaries of the days that are over.
func (u *Usage) prepare(ctx context.Context, now time.Time) {
	type task struct {
		tenant string
		start  int64
	}
	var todo []task
	u.mu.Lock()
	for name, t := range u.tenants {
		for _, start := range t.fullDays(math.MinInt64, floor(now.Unix(), day)) {
			todo = append(todo, task{name, start})
		}
	}
	u.mu.Unlock()
	for _, one := range todo {
		if ctx.Err() != nil {
			return
		}
		if err := u.summarise(one.tenant, one.start); err != nil {
			u.Logger.Error("a day of the usage can't be added up", "tenant", one.tenant, "day", textOf(time.Unix(one.start, 0)), "error", err)
		}
	}
}

// fullDays returns the days from from to to that have something and no summary.
func (t *tenant) fullDays(from, to int64) (all []int64) {
	for start := range t.spans[hours] {
		at := floor(start, day)
		if at < from || at+day > to || slices.Contains(all, at) {
			continue
		}
		if d := t.days[at]; d == nil || d.consumers == nil {
			all = append(all, at)
		}
	}
	return all
}

// summarise makes the summary of a day.
func (u *Usage) summarise(name string, start int64) error {
	u.mu.Lock()
	t := u.tenants[name]
	if t == nil {
		u.mu.Unlock()
		return nil
	}
	d := t.days[start]
	if d == nil {
		d = &summary{}
		t.days[start] = d
	}
	version := d.version
	var blocks [][]byte
	for at := start; at < start+day; at += hours.width {
		if s := t.spans[hours][at]; s != nil {
			blocks = append(blocks, s.blocks()...)
		}
	}
	u.mu.Unlock()

	byConsumer := newGroups([]string{"consumer", "status"}, nil, math.MaxInt)
	byRest := newGroups([]string{"api", "version", "route", "status", "model"}, nil, math.MaxInt)
	for _, block := range blocks {
		if err := byConsumer.add(block); err != nil {
			return err
		}
		if err := byRest.add(block); err != nil {
			return err
		}
	}
	perConsumer := table{}
	for s, r := range byConsumer.table() {
		if isError(s.status) {
			s.status = 500
		} else {
			s.status = 200
		}
		perConsumer.add(s, r)
	}
	consumers, rest := perConsumer.encode(nil), byRest.table().encode(nil)

	u.mu.Lock()
	defer u.mu.Unlock()
	if d.version == version {
		d.consumers, d.rest = consumers, rest
	}
	return nil
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
