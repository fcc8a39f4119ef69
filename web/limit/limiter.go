package limit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"unique"
)

// Options of a Limiter. The zero value of each member stands for its default.
type Options struct {
	Store        QuotaStore    // none by default: what has a quota is refused with 503
	StoreTimeout time.Duration // of one call of the store, and of a request's wait for it; 5 s
	MaxConsumers int           // states of consumers and of routes, about 150 bytes each; 4,000,000
	MaxAddresses int           // states of addresses; 1,000,000
}

// Limiter holds the state of all limits of a process. Its methods may be called in parallel.
type Limiter struct {
	start     time.Time
	consumers [shards]shard // and those of routes
	addresses [shards]shard
	writer    *writer

	sweepAt atomic.Int64 // nanoseconds since start
	sweeps  atomic.Uint32

	mu  sync.Mutex // protects the fields below
	ids map[unique.Handle[string]]bool
}

// New returns a Limiter. Close it to give back what is reserved of quotas.
func New(o Options) *Limiter {
	if o.StoreTimeout == 0 {
		o.StoreTimeout = 5 * time.Second
	}
	if o.MaxConsumers == 0 {
		o.MaxConsumers = 4_000_000
	}
	if o.MaxAddresses == 0 {
		o.MaxAddresses = 1_000_000
	}
	l := &Limiter{start: time.Now()}
	for i := range l.consumers {
		s, a := &l.consumers[i], &l.addresses[i]
		s.order, s.max = i, (o.MaxConsumers+shards-1)/shards
		a.order, a.max, a.evict = shards+i, (o.MaxAddresses+shards-1)/shards, true
	}
	l.writer = newWriter(o.Store, o.StoreTimeout)
	return l
}

// Use tells which sets the configuration has from now on, all of them each time. What was
// counted for rates and concurrencies of sets that it had before and has no more is forgotten;
// what is used of quotas stays in the store until their window ends. Sets that Use never got,
// like those of single keys, work as well.
func (l *Limiter) Use(sets ...*RuleSet) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ids := map[unique.Handle[string]]bool{}
	for _, set := range sets {
		for _, r := range set.rules {
			ids[r.id] = true
		}
	}
	removed := map[unique.Handle[string]]bool{}
	for id := range l.ids {
		if !ids[id] {
			removed[id] = true
		}
	}
	l.ids = ids
	if len(removed) == 0 {
		return
	}
	for i := range shards {
		for _, s := range []*shard{&l.consumers[i], &l.addresses[i]} {
			s.mu.Lock()
			s.forgetLocked(removed)
			s.mu.Unlock()
		}
	}
}

// Close ends the use of quotas and gives back what was reserved of them and not used. Its error
// is that of the store; the rest of the blocks is lost then. Rates and concurrencies go on.
func (l *Limiter) Close(ctx context.Context) error {
	l.writer.stop()
	var back []Count
	for i := range shards {
		for _, s := range []*shard{&l.consumers[i], &l.addresses[i]} {
			s.mu.Lock()
			for k, c := range s.callers {
				if q := c.quota; q != nil && q.reserved > q.used {
					q.reserved = q.used // no request takes it any more
					back = append(back, q.count(s, k, q.used))
				}
			}
			s.mu.Unlock()
		}
	}
	return l.writer.giveBack(ctx, back)
}

// States returns how many states are held of consumers and routes, and of addresses: one for
// each rule and caller.
func (l *Limiter) States() (consumers, addresses int) {
	for i := range shards {
		consumers += l.consumers[i].states()
		addresses += l.addresses[i].states()
	}
	return consumers, addresses
}

func (s *shard) states() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size
}

// elapsed returns the nanoseconds since the start. It is monotonic where now is.
func (l *Limiter) elapsed(now time.Time) int64 {
	const far = math.MaxInt64 / 4 // 73 years: differences of such times and a window do not overflow
	return min(max(int64(now.Sub(l.start)), -far), far)
}

// sweep drops what equals fresh state in the next shard of each kind, four times a second.
func (l *Limiter) sweep(now int64, wall time.Time) {
	at := l.sweepAt.Load()
	if now < at && at-now <= sweepPause || !l.sweepAt.CompareAndSwap(at, now+sweepPause) {
		return
	}
	i := l.sweeps.Add(1) % shards
	for _, s := range []*shard{&l.consumers[i], &l.addresses[i]} {
		s.mu.Lock()
		s.clockLocked(now)
		s.sweepLocked(wall)
		s.mu.Unlock()
	}
}

// maxID is the longest consumer, in bytes, that is kept as it is; of longer ones the hash is.
const maxID = 64

// consumerID bounds what is kept of a consumer's name.
func consumerID(name string) string {
	if len(name) <= maxID {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return "#" + hex.EncodeToString(sum[:]) // 65 bytes, longer than what is kept as it is
}

// addressID returns the bytes of an address, of IPv6 those of its /64.
func addressID(a netip.Addr) string {
	switch a = a.Unmap(); {
	case !a.IsValid():
		return ""
	case a.Is4():
		b := a.As4()
		return string(b[:])
	default:
		b := a.As16()
		return string(b[:8])
	}
}
