package usage

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"jobhub/jobs"
)

const (
	maxAsking = 4               // questions that are answered at a time
	loadWait  = 5 * time.Second // for the store to be read, after the start
)

var errTooMany = errors.New("too many groups")

// Answer is the answer to a question.
type Answer struct {
	From, To time.Time // the time of the question, rounded outwards to what is counted
	By       []string
	Rows     []Row // by From, then by their words; none for what has no calls
}

// part is what was counted from start on, as blocks.
type part struct {
	start  int64
	blocks [][]byte
}

// Ask answers a question. Its error is a problem: 422 for what can't be answered, 503 while the
// store is not read. What was recorded before is part of the answer.
func (u *Usage) Ask(ctx context.Context, now time.Time, q Question) (Answer, error) {
	p, err := u.plan(now, q)
	if err != nil {
		return Answer{}, err
	}
	if err := u.begin(ctx); err != nil {
		return Answer{}, err
	}
	defer func() { <-u.asking }()
	u.collect()

	parts, err := u.parts(ctx, p, now.Unix())
	if err != nil {
		return Answer{}, err
	}
	a := Answer{From: time.Unix(p.from, 0).UTC(), To: time.Unix(p.to, 0).UTC(), By: p.By}
	var own *string
	if p.Own {
		own = &p.Consumer
	}
	g := newGroups(p.By, own, MaxRows)
	at := a.From
	for _, part := range parts {
		if err := ctx.Err(); err != nil {
			return a, err
		}
		if p.step != 0 {
			if next := time.Unix(floor(part.start, p.step), 0).UTC(); next != at {
				a.Rows = append(a.Rows, g.rows(at)...)
				g.max = MaxRows - len(a.Rows)
				at = next
			}
		}
		for _, block := range part.blocks {
			err := g.add(block)
			if errors.Is(err, errTooMany) {
				return a, jobs.Invalid("/by", "makes more than %d rows; ask about a shorter time, with a longer step, or by fewer words", MaxRows)
			}
			if err != nil {
				return a, err
			}
		}
	}
	a.Rows = append(a.Rows, g.rows(at)...)
	return a, nil
}

// begin waits until the store was read, and for its turn.
func (u *Usage) begin(ctx context.Context) error {
	late := time.NewTimer(loadWait)
	defer late.Stop()
	select {
	case <-u.loaded:
	case <-ctx.Done():
		return ctx.Err()
	case <-late.C:
		return jobs.Unavailable("Usage not read", "The hub has not read the usage from its store so far; ask again later. If this lasts, the hub's log says why.")
	}
	select {
	case u.asking <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-late.C:
		return jobs.Unavailable("Too many questions", "The hub answers as many questions about usage as it can; ask again later.")
	}
}

// parts returns what was counted in the time of a plan, in order. Hours and days that are over come
// as their summaries, if these can answer the question.
func (u *Usage) parts(ctx context.Context, p plan, now int64) (all []part, err error) {
	kind := p.summary()
	var days, single []period
	if kind != noSummary {
		u.mu.Lock()
		if t := u.tenants[p.Tenant]; t != nil {
			if p.step != hours.width {
				days = t.periods(floor(p.from+day-1, day), floor(min(p.to, now), day), day)
			}
			single = t.periods(p.from, floor(min(p.to, now), hours.width), hours.width)
		}
		u.mu.Unlock()
		single = slices.DeleteFunc(single, func(hour period) bool {
			return slices.Contains(days, period{floor(hour.start, day), day})
		})
		if err := errors.Join(u.summarise(ctx, p.Tenant, days, kind), u.summarise(ctx, p.Tenant, single, kind)); err != nil {
			return nil, err
		}
	}

	u.mu.Lock()
	defer u.mu.Unlock()
	t := u.tenants[p.Tenant]
	if t == nil {
		return nil, nil
	}
	summed := map[period]bool{}
	for _, one := range slices.Concat(days, single) {
		if d := t.summaries[one]; d != nil && d.blocks[kind] != nil { // it may have changed meanwhile
			all = append(all, part{one.start, [][]byte{d.blocks[kind]}})
			summed[one] = true
		}
	}
	for start, s := range t.spans[p.level] {
		if start >= p.from && start < p.to && !summed[period{floor(start, day), day}] && !summed[period{start, hours.width}] {
			all = append(all, part{start, s.blocks()})
		}
	}
	slices.SortFunc(all, func(a, b part) int { return cmp.Compare(a.start, b.start) })
	return all, nil
}
