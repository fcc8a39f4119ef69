package limit

import (
	"context"
	"net/netip"
	"time"
)

// QuotaStore keeps the counts of quotas. A Limiter makes one call at a time.
type QuotaStore interface {
	// Load returns the counts of keys, in any order; keys that have none are left out.
	Load(ctx context.Context, keys []QuotaKey) ([]Count, error)
	// Save replaces the counts of their keys, in one transaction, and returns when they are
	// durable. It may be called with as many as 1,000 counts. When it has returned, also with an
	// error, the store does not change any more: each key has the old count or the new one.
	Save(ctx context.Context, counts []Count) error
}

// QuotaKey is whose quota it is.
type QuotaKey struct {
	Scope  string        // of the Set
	Window time.Duration // of the quota
	Per    Per           // PerConsumer, or PerAddress where there is no consumer
	ID     string        // the consumer, or the address: 192.0.2.1, 2001:db8::/64
}

// Count is what is used of a quota in one window. A store may delete it when the window has
// ended.
type Count struct {
	QuotaKey
	End  time.Time // of the window, in whole seconds
	Used int64     // requests; of some of them it was only said in advance that they may pass
}

// quota is the state of a quota for one caller. Its shard's lock protects it.
type quota struct {
	rule     *rule
	used     int64   // requests let pass in the window
	reserved int64   // as the store has it; used never goes beyond it
	end      int64   // of the window in Unix seconds; 0 until the count was loaded
	flight   *flight // what the store is asked for, or nil
	block    uint32  // requests reserved at a time; see grow
	at       uint32  // when a block was reserved last, in seconds since the limiter's start
}

const (
	maxBlock   = 10_000 // requests reserved at a time
	blockShare = 100    // a block is at most this part of the quota: what a crash can lose
	busy       = 1      // seconds: a block that lasted no longer is followed by one twice its size
	calm       = 10     // seconds: one that lasted longer is followed by one half its size
)

func (q *quota) loaded() bool { return q.end != 0 }

// idle reports whether the store knows as much as the state says.
func (q *quota) idle(now int64) bool { return q.flight == nil && q.end <= now }

// roll begins a new window if that of the quota has ended. If the clock was set back it has not.
func (q *quota) roll(of Quota, now time.Time) {
	if q.loaded() && now.Unix() >= q.end {
		q.end, q.used, q.reserved = of.end(now), 0, 0
	}
}

// load takes over what the store has, if that is of this window or of a later one.
func (q *quota) load(of Quota, now time.Time, stored Count) {
	q.end, q.used = of.end(now), 0
	if end := stored.End.Unix(); stored.Used > 0 && end >= q.end {
		q.end, q.used = end, stored.Used
	}
	q.reserved = q.used
}

// grow sets the size of the next block by how long the last one has lasted.
func (q *quota) grow(limit int64, now uint32) {
	most := uint32(max(1, min(limit/blockShare, maxBlock)))
	switch since := now - q.at; {
	case q.block == 0:
		q.block = 1
	case since <= busy:
		q.block *= 2
	case since > calm:
		q.block /= 2
	}
	q.block, q.at = max(1, min(q.block, most)), now
}

// count is the count to be stored for the quota of a key.
func (q *quota) count(s *shard, k key, used int64) Count {
	return Count{QuotaKey: storeKey(q.rule, s, k), End: time.Unix(q.end, 0).UTC(), Used: used}
}

func storeKey(r *rule, s *shard, k key) QuotaKey {
	stored := QuotaKey{Scope: r.scope, Window: r.quota.Window, Per: PerConsumer, ID: k.id}
	if s.evict {
		stored.Per, stored.ID = PerAddress, addressText(k.id)
	}
	return stored
}

// addressText writes what addressID returned.
func addressText(id string) string {
	var b [16]byte
	copy(b[:], id)
	switch len(id) {
	case 4:
		return netip.AddrFrom4([4]byte(b[:4])).String()
	case 8:
		return netip.PrefixFrom(netip.AddrFrom16(b), 64).String()
	}
	return "unknown"
}
