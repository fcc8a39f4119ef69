package usage

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"jobhub/jobs"
)

// ready reads the store if that was not done. After an error it can be called again.
func (u *Usage) ready(ctx context.Context, now time.Time) error {
	u.flushing.Lock()
	defer u.flushing.Unlock()
	return u.readyLocked(ctx, now)
}

func (u *Usage) readyLocked(ctx context.Context, now time.Time) error {
	select {
	case <-u.loaded:
		return nil
	default:
	}
	if u.Store == nil {
		close(u.loaded)
		return nil
	}
	all := map[*level][]jobs.Document{}
	for _, l := range levels {
		docs, err := u.Store.List(ctx, "", l.kind)
		switch {
		case errors.Is(err, jobs.ErrDamaged):
			u.Logger.Error("usage is lost: the store can't read it", "kind", l.kind, "error", err)
		case err != nil:
			return u.reportLocked(err)
		}
		all[l] = docs
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	for l, docs := range all {
		for _, d := range docs {
			u.loadLocked(l, d, now)
		}
	}
	close(u.loaded)
	return nil
}

// loadLocked takes over one document. One that can't be read stays in the store, until its
// time of retention is over, and no other is written in its place.
func (u *Usage) loadLocked(l *level, d jobs.Document, now time.Time) {
	start, ok := l.start(d.Name)
	if !ok {
		u.Logger.Error("a document of the usage has an unknown name; it is kept as it is", "tenant", d.Tenant, "kind", d.Kind, "name", d.Name)
		return
	}
	t := u.tenantLocked(d.Tenant)
	s := t.span(l, start)
	t.touch(start)
	err := check(d.Data)
	switch {
	case err != nil:
		u.Logger.Error("a document of the usage can't be read; it is kept as it is, and what it counted is missing", "tenant", d.Tenant, "kind", d.Kind, "name", d.Name, "error", err)
		s.others = append(s.others, d)
	case s.base != nil:
		s.others = append(s.others, d)
		s.joined = append(s.joined, d.Data)
	default:
		s.name, s.base, s.data = d.Name, d.Data, d.Data
	}
	s.rename(l, start)
	if err == nil && l == hours && start == floor(now.Unix(), l.width) {
		counted := table{}
		if counted.addBlock(d.Data, marks{}) == nil {
			u.admitted.seed(start/l.width, d.Tenant, counted)
		}
	}
}

// rename gives the document of a span that is not stored a name that no other has.
func (s *span) rename(l *level, start int64) {
	taken := func(d jobs.Document) bool { return d.Name == s.name }
	for n := 2; s.base == nil && slices.ContainsFunc(s.others, taken); n++ {
		s.name = l.name(start) + "." + strconv.Itoa(n)
	}
}

// check returns an error if bytes are not a block.
func check(block []byte) error {
	if err := checkSum(block); err != nil {
		return err
	}
	r := read(block)
	for {
		if _, ok := r.nextConsumer(); !ok {
			return r.err
		}
		for r.nextRow() {
		}
	}
}
