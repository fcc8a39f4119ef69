package limit

import (
	"context"
	"hash/maphash"
	"net/netip"
	"strings"
	"time"
)

// Subject is who sends a request.
type Subject struct {
	Consumer string     // unique among all tenants; "" for requests without a key
	Address  netip.Addr // from which the request came
}

// decision is one request on its way through the rules.
type decision struct {
	l      *Limiter
	now    int64 // nanoseconds since the limiter's start
	wall   time.Time
	items  []item
	locked []*shard // in their order

	itemsBuf  [4]item
	lockedBuf [4]*shard
}

// item is one rule of a decision with the caller's state.
type item struct {
	rule  *rule
	shard *shard
	key   key

	// As of the last look, under the shard's lock:
	at    int64 // the shard's time
	cell  cell
	known bool // left is known: a quota was loaded
	added bool // there is no state yet
	quota *quota
	left  int64
	next  time.Duration // until left grows; 0 if that is not known
}

// Decide lets a request pass or refuses it, and takes what it uses up. It waits for the store
// only if a quota has nothing reserved. If the verdict allows it, Release must be called when
// the request has ended.
func (l *Limiter) Decide(ctx context.Context, now time.Time, who Subject, sets ...*RuleSet) *Verdict {
	return l.decide(ctx, now, who, sets, true)
}

// Explain returns the verdict that Decide would give, and takes nothing: its policies tell
// what is left for this request and those after it. It may read the store.
func (l *Limiter) Explain(ctx context.Context, now time.Time, who Subject, sets ...*RuleSet) *Verdict {
	return l.decide(ctx, now, who, sets, false)
}

func (l *Limiter) decide(ctx context.Context, now time.Time, who Subject, sets []*RuleSet, take bool) *Verdict {
	d := decision{l: l, now: l.elapsed(now), wall: now}
	d.items, d.locked = d.itemsBuf[:0], d.lockedBuf[:0]
	d.find(who, sets)
	l.sweep(d.now, now)
	v := newVerdict(len(d.items))
	if len(d.items) == 0 {
		return v
	}
	for deadline := l.writer.deadline(); ; {
		d.lock()
		waits, full := d.look(take)
		v.judge(d.items)
		if full && v.problem == nil {
			v.refuse(errFull, time.Second)
		}
		if v.problem != nil || len(waits) == 0 {
			if v.problem == nil && take {
				d.take(v)
			}
			d.unlock()
			v.describe(d.items)
			return v
		}
		d.unlock()
		l.writer.wake()
		for _, f := range waits {
			if err := f.wait(ctx, deadline); err != nil {
				v.refuse(unavailable(err), time.Second)
				v.describe(d.items)
				return v
			}
		}
	}
}

// find lists the rules with the caller's keys and shards.
func (d *decision) find(who Subject, sets []*RuleSet) {
	consumer := consumerID(who.Consumer)
	var address string
	if who.Address.IsValid() {
		address = addressID(who.Address)
	}
	consumerHash, addressHash := maphash.String(seed, consumer), maphash.String(seed, address)
	for _, set := range sets {
		if set == nil {
			continue
		}
		for _, r := range set.rules {
			it := item{rule: r, key: key{rule: r.id}}
			switch {
			case r.per == PerRoute:
				it.shard = &d.l.consumers[r.hash%shards]
			case r.per == PerConsumer && who.Consumer != "":
				it.key.id, it.shard = consumer, &d.l.consumers[consumerHash%shards]
			default:
				it.key.id, it.shard = address, &d.l.addresses[addressHash%shards]
			}
			if !d.has(it) {
				d.items = append(d.items, it)
				d.lockLater(it.shard)
			}
		}
	}
}

// has reports whether a rule is there already: what is counted once is taken once.
func (d *decision) has(it item) bool {
	for i := range d.items {
		if d.items[i].key == it.key && d.items[i].shard == it.shard {
			return true
		}
	}
	return false
}

// lockLater adds a shard to those that lock locks, in their order.
func (d *decision) lockLater(s *shard) {
	i := len(d.locked)
	for i > 0 && d.locked[i-1].order > s.order {
		i--
	}
	if i > 0 && d.locked[i-1] == s {
		return
	}
	d.locked = append(d.locked, nil)
	copy(d.locked[i+1:], d.locked[i:])
	d.locked[i] = s
}

func (d *decision) lock() {
	for _, s := range d.locked {
		s.mu.Lock()
		s.clockLocked(d.now)
	}
}

func (d *decision) unlock() {
	for _, s := range d.locked {
		s.mu.Unlock()
	}
}

// look reads what each rule says. If all others allow the request (or nothing is to be taken),
// it returns what has to be waited for; full tells that a shard has no room for a new state.
func (d *decision) look(take bool) (waits []*flight, full bool) {
	refused := false
	for i := range d.items {
		it := &d.items[i]
		s := it.shard
		it.at = s.now
		switch r := it.rule; r.kind {
		case kindRate:
			c, found := s.cells[it.key]
			if !found {
				c.at = s.now // fresh, also if the clock says that the limiter has not started yet
			}
			if late := s.now + int64(r.rate.per); c.at > late { // the clock was set back
				c = cell{at: late}
				s.setLocked(it.key, c)
			}
			it.cell, it.known, it.added = c, true, !found
			it.left, it.next = r.rate.look(c, s.now)
		case kindConcurrency:
			it.left, it.known = r.quota.N, true
			if g := s.gates[it.key]; g != nil {
				it.left = max(0, r.quota.N-g.runs)
			}
		case kindQuota:
			it.quota = s.quotas[it.key]
			it.added, it.known = it.quota == nil, it.quota != nil && it.quota.loaded()
			if it.known {
				it.quota.roll(r.quota, d.wall)
				it.left = max(0, r.quota.N-it.quota.used)
				it.next = time.Unix(it.quota.end, 0).Sub(d.wall)
			}
		}
		refused = refused || it.known && it.left == 0
		if it.added && (take || it.rule.kind == kindQuota) && !s.roomLocked(d.wall) {
			full = true
		}
	}
	if refused && take || full { // nothing will be taken: the store is not asked
		return nil, full
	}
	for i := range d.items {
		if it := &d.items[i]; it.rule.kind == kindQuota {
			if f := d.l.writer.ask(it, d.wall, take); f != nil {
				waits = append(waits, f)
			}
		}
	}
	return waits, false
}

// take uses up one of every rule; look has just allowed it.
func (d *decision) take(v *Verdict) {
	for i := range d.items {
		it := &d.items[i]
		switch r := it.rule; r.kind {
		case kindRate:
			if it.added {
				it.key.id = strings.Clone(it.key.id) // the caller's may be a part of something large
			}
			it.cell = r.rate.take(it.cell, it.at)
			it.shard.setLocked(it.key, it.cell)
			it.left, it.next = r.rate.look(it.cell, it.at)
		case kindConcurrency:
			v.held = append(v.held, it.shard.enterLocked(it.key))
			it.left--
		case kindQuota:
			it.quota.used++
			it.left--
			d.l.writer.askAhead(it)
		}
	}
}
