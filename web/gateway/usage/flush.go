package usage

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"jobhub/jobs"
)

const (
	parallelPuts = 8                // so that the store can join them in one transaction
	putTimeout   = 30 * time.Second // for one change
	maxTries     = 5                // to store one document in one flush, if others write it, too
	maxDeleted   = 256              // documents deleted by one flush
)

// place says where a span is.
type place struct {
	tenant string
	level  *level
	start  int64
	span   *span
}

// Flush stores what was counted and not stored, and deletes what is kept no longer. It is
// called from time to time, and by Close. Its error, which is logged, is that of the store;
// the next call tries again.
func (u *Usage) Flush(ctx context.Context, now time.Time) error {
	u.flushing.Lock()
	defer u.flushing.Unlock()
	u.collect()
	if err := u.readyLocked(ctx, now); err != nil {
		return err
	}
	u.foldOldest(now)
	changed, old := u.due(now)
	err := eachOf(changed, func(p place) error { return u.save(ctx, p) })
	return u.reportLocked(errors.Join(err, eachOf(old, func(p place) error { return u.remove(ctx, p) })))
}

// reportLocked logs the first of several errors in a row.
func (u *Usage) reportLocked(err error) error {
	switch {
	case err != nil && !u.failing:
		u.Logger.Error("the store of the usage fails; what is not stored stays in memory, and it is tried again", "error", err)
	case err == nil && u.failing:
		u.Logger.Info("the store of the usage works again")
	}
	u.failing = err != nil
	return err
}

// due returns the spans that have to be stored, and those that have to be deleted.
func (u *Usage) due(now time.Time) (changed, old []place) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for name, t := range u.tenants {
		for l, spans := range t.spans {
			for start, s := range spans {
				p := place{name, l, start, s}
				switch {
				case start+l.width <= u.oldest(l, now)-l.slack():
					if len(old) < maxDeleted {
						old = append(old, p)
					}
				case s.pending() || len(s.fresh) > 0:
					changed = append(changed, p)
				}
			}
		}
	}
	return changed, old
}

// oldest returns from when on questions can ask.
func (u *Usage) oldest(l *level, now time.Time) int64 {
	keep := u.Retention
	if l == minutes {
		keep = u.Minutes
	}
	return floor(now.Add(-keep).Unix(), l.width)
}

// slack is how much longer spans are kept, in seconds, so that the first step of an answer is whole.
func (l *level) slack() int64 {
	if l == hours {
		return day
	}
	return 0
}

// eachOf calls f for some places, several at a time, and returns the first error.
func eachOf(all []place, f func(place) error) error {
	var wg sync.WaitGroup
	var mu sync.Mutex // protects next and first
	var first error
	next := 0
	for range min(parallelPuts, len(all)) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				stop := i >= len(all) || first != nil
				mu.Unlock()
				if stop {
					return
				}
				if err := f(all[i]); err != nil {
					mu.Lock()
					first = err
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return first
}

// save stores a span: first what is pending, and then what was counted since.
func (u *Usage) save(ctx context.Context, p place) error {
	s := p.span
	for range maxTries {
		u.mu.Lock()
		u.additions++
		err := s.advance(u.writer, u.additions)
		done := !s.pending()
		change := jobs.DocumentChange{Document: jobs.Document{Tenant: p.tenant, Kind: p.level.kind, Name: s.name, Data: s.data}, Was: s.base}
		u.mu.Unlock()
		if done || err != nil {
			return err
		}
		err = u.put(ctx, change)
		switch {
		case err == nil:
			u.mu.Lock()
			s.stored()
			u.mu.Unlock()
		case errors.Is(err, jobs.ErrConflict):
			err = u.resolve(ctx, p)
		}
		if err != nil {
			return err
		}
	}
	return jobs.ErrConflict
}

// resolve finds out what is stored instead of the base of a span: what was sent before, without
// an answer, or what another process has stored.
func (u *Usage) resolve(ctx context.Context, p place) error {
	docs, err := u.Store.List(ctx, p.tenant, p.level.kind)
	if err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	s := p.span
	i := slices.IndexFunc(docs, func(d jobs.Document) bool { return d.Name == s.name })
	switch {
	case i >= 0 && check(docs[i].Data) == nil:
		s.base = docs[i].Data
		if read(s.base).marks[u.writer] >= s.added {
			s.delta = nil
		}
		err = s.rebuild()
	default: // it is gone, or damaged
		u.additions++
		if s.data, err = joined(marks{u.writer: u.additions}, s.data); err != nil {
			return err
		}
		s.base, s.delta, s.added = nil, s.data, u.additions
		if i >= 0 {
			s.others = append(s.others, docs[i])
			s.rename(p.level, p.start)
		}
	}
	u.tenantLocked(p.tenant).touch(p.start)
	return err
}

// remove deletes a span and its documents.
func (u *Usage) remove(ctx context.Context, p place) error {
	u.mu.Lock()
	all := slices.Clone(p.span.others)
	if p.span.base != nil {
		all = append(all, jobs.Document{Name: p.span.name, Data: p.span.base})
	}
	u.mu.Unlock()
	for _, d := range all {
		err := u.put(ctx, jobs.DocumentChange{Document: jobs.Document{Tenant: p.tenant, Kind: p.level.kind, Name: d.Name}, Was: d.Data})
		if errors.Is(err, jobs.ErrConflict) {
			err = nil // another process has changed or deleted it; what is left is deleted after the next start
		}
		if err != nil {
			return err
		}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	t := u.tenantLocked(p.tenant)
	delete(t.spans[p.level], p.start)
	if p.level == hours {
		delete(t.summaries, period{p.start, hours.width})
		delete(t.summaries, period{floor(p.start, day), day})
	}
	if len(t.spans[minutes])+len(t.spans[hours]) == 0 {
		delete(u.tenants, p.tenant)
	}
	return nil
}

// put sends one change to the store, if there is one.
func (u *Usage) put(ctx context.Context, change jobs.DocumentChange) error {
	if u.Store == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	return u.Store.Put(ctx, &change)
}
