package pages

import (
	"context"
	"slices"
	"sync"
	"time"

	"jobhub/jobs"
)

const (
	linesMost = 20     // queues that are read in a second
	linesKept = 10_000 // queues in the cache
)

// waitingKinds caches which kinds of jobs wait in a queue where jobs wait for long. Every
// rendering of the overview asks for all such queues; if there are many, only some are read
// in each second, and those not read yet have no kinds.
type waitingKinds struct {
	mu     sync.Mutex // protects the fields below
	known  map[lineKey]line
	second int64 // since 1970
	looks  int   // in that second
}

type lineKey struct{ tenant, queue string }

type line struct {
	kinds []string // sorted
	at    time.Time
}

func (l *waitingKinds) kinds(ctx context.Context, store jobs.Store, tenant, queue string) ([]string, error) {
	key, now := lineKey{tenant, queue}, time.Now()
	old, look := l.look(key, now)
	if !look {
		return old.kinds, nil
	}
	page, err := store.List(ctx, jobs.Filter{Tenant: tenant, Queue: queue, States: []jobs.State{jobs.Queued}, Limit: looked})
	if err != nil {
		return nil, err
	}
	fresh := line{at: now}
	for i := range page.Jobs {
		if kind := page.Jobs[i].Kind; !slices.Contains(fresh.kinds, kind) {
			fresh.kinds = append(fresh.kinds, kind)
		}
	}
	slices.Sort(fresh.kinds)
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.known) >= linesKept {
		l.known = nil
	}
	if l.known == nil {
		l.known = map[lineKey]line{}
	}
	l.known[key] = fresh
	return fresh.kinds, nil
}

// look returns what is cached, and whether it should be read again.
func (l *waitingKinds) look(key lineKey, now time.Time) (old line, look bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	old, known := l.known[key]
	if known && now.Sub(old.at) < lookupAge {
		return old, false
	}
	if second := now.Unix(); second != l.second {
		l.second, l.looks = second, 0
	}
	if l.looks++; l.looks > linesMost {
		return old, false
	}
	return old, true
}
