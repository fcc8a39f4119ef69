package limit

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

var (
	errNoStore = errors.New("there is no store for quotas")
	errClosed  = errors.New("the limiter is closed")
	errSlow    = errors.New("the store of quotas is too slow")
)

// maxCounts is how many counts are loaded or saved at a time.
const maxCounts = 1000

// writer makes the calls of the store, one at a time, each for all who wait for it.
type writer struct {
	store   QuotaStore // nil for none
	timeout time.Duration
	start   time.Time
	signal  chan struct{} // something is pending
	ended   chan struct{} // closed when run has returned
	ctx     context.Context
	cancel  context.CancelFunc

	mu      sync.Mutex // protects the fields below; locked inside shards' locks
	pending []*flight
	closed  bool
}

// flight is one quota on its way to the store.
type flight struct {
	shard *shard
	key   key
	quota *quota
	rule  *rule
	now   time.Time // of the request that asked first

	// Protected by the shard's lock until the writer has set target:
	waiters int64 // requests that wait to be let pass
	reserve bool  // not only load

	target, end int64 // what Save stores, and of which window; target is 0 for nothing
	err         error // set before done is closed
	done        chan struct{}
}

func newWriter(store QuotaStore, timeout time.Duration) *writer {
	w := &writer{store: store, timeout: timeout, start: time.Now(), signal: make(chan struct{}, 1), ended: make(chan struct{})}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	if store == nil {
		close(w.ended)
	} else {
		go w.run()
	}
	return w
}

// deadline is until when a request waits.
func (w *writer) deadline() time.Time { return time.Now().Add(w.timeout) }

// ask returns what a request has to wait for so that its quota can be looked at and, with
// reserve, has a unit left; nil if it need not wait. The shard is locked.
func (w *writer) ask(it *item, now time.Time, reserve bool) *flight {
	s := it.shard
	if it.quota == nil {
		it.quota = &quota{}
		s.addLocked(it.key, nil, it.quota)
	}
	q := it.quota
	q.rule = it.rule // which has the limit of the newest request
	if q.loaded() && (!reserve || q.reserved > q.used) {
		return nil
	}
	f := w.flight(it.rule, s, it.key, q, now)
	if reserve {
		f.reserve = true
		f.waiters++
	}
	return f
}

// askAhead reserves the next block when little is left of a large one.
func (w *writer) askAhead(it *item) {
	if q := it.quota; q.flight == nil && q.block >= 8 && q.reserved-q.used <= int64(q.block/4) && q.reserved < it.rule.quota.N {
		w.flight(it.rule, it.shard, it.key, q, time.Time{}).reserve = true
		w.wake()
	}
}

// flight returns that of a quota, which it makes if there is none. The shard is locked.
func (w *writer) flight(r *rule, s *shard, k key, q *quota, now time.Time) *flight {
	if q.flight != nil {
		return q.flight
	}
	f := &flight{shard: s, key: k, quota: q, rule: r, now: now, done: make(chan struct{})}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.store == nil:
		f.err = errNoStore
	case w.closed:
		f.err = errClosed
	default:
		q.flight = f
		w.pending = append(w.pending, f)
		return f
	}
	close(f.done)
	return f
}

// wake starts the next round if none is under way.
func (w *writer) wake() {
	select {
	case w.signal <- struct{}{}:
	default:
	}
}

// wait returns when the store has answered. After the deadline it does not wait any more: what
// the store reserved was taken by others each time.
func (f *flight) wait(ctx context.Context, deadline time.Time) error {
	left := time.Until(deadline)
	if left <= 0 {
		return errSlow
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return errSlow
	}
}

func (w *writer) run() {
	defer close(w.ended)
	for {
		select {
		case <-w.signal:
		case <-w.ctx.Done():
			return
		}
		for {
			w.mu.Lock()
			n := min(len(w.pending), maxCounts)
			round := w.pending[:n:n]
			if w.pending = w.pending[n:]; len(w.pending) == 0 {
				w.pending = nil
			}
			w.mu.Unlock()
			if n == 0 {
				break
			}
			w.round(round)
		}
	}
}

// round loads what is not known yet and reserves, in one call each.
func (w *writer) round(flights []*flight) {
	err := w.load(flights)
	if err == nil {
		err = w.save(flights)
	}
	for _, f := range flights {
		f.shard.mu.Lock()
		if err == nil && f.target > 0 && f.quota.end == f.end {
			f.quota.reserved = f.target
		}
		f.quota.flight = nil
		f.shard.mu.Unlock()
		f.err = err
		close(f.done)
	}
}

func (w *writer) load(flights []*flight) error {
	var keys []QuotaKey
	var unknown []*flight
	for _, f := range flights {
		f.shard.mu.Lock()
		loaded := f.quota.loaded()
		f.shard.mu.Unlock()
		if !loaded {
			unknown = append(unknown, f)
			keys = append(keys, storeKey(f.rule, f.shard, f.key))
		}
	}
	if len(keys) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(w.ctx, w.timeout)
	defer cancel()
	counts, err := w.store.Load(ctx, keys)
	if err != nil {
		return err
	}
	stored := map[QuotaKey]Count{}
	for _, c := range counts {
		stored[c.QuotaKey] = c
	}
	for i, f := range unknown {
		f.shard.mu.Lock()
		f.quota.load(f.rule.quota, f.now, stored[keys[i]])
		f.shard.mu.Unlock()
	}
	return nil
}

func (w *writer) save(flights []*flight) error {
	var counts []Count
	for _, f := range flights {
		f.shard.mu.Lock()
		q := f.quota
		limit := q.rule.quota.N
		if left := limit - q.reserved; f.reserve && left > 0 {
			q.grow(limit, uint32(time.Since(w.start)/time.Second))
			f.target, f.end = q.reserved+min(left, max(int64(q.block), f.waiters)), q.end
			counts = append(counts, q.count(f.shard, f.key, f.target))
		}
		f.shard.mu.Unlock()
	}
	if len(counts) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(w.ctx, w.timeout)
	defer cancel()
	return w.store.Save(ctx, counts)
}

// stop ends all calls of the store; who waits for it is refused.
func (w *writer) stop() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.cancel()
	<-w.ended
	w.mu.Lock()
	left := w.pending
	w.pending = nil
	w.mu.Unlock()
	for _, f := range left {
		f.shard.mu.Lock()
		f.quota.flight = nil
		f.shard.mu.Unlock()
		f.err = errClosed
		close(f.done)
	}
}

// giveBack stores what was really used. It gives the rest up if the store fails once.
func (w *writer) giveBack(ctx context.Context, counts []Count) error {
	for some := range slices.Chunk(counts, maxCounts) {
		saving, cancel := context.WithTimeout(ctx, w.timeout)
		err := w.store.Save(saving, some)
		cancel()
		if err != nil {
			return err
		}
	}
	return nil
}
