package limit

import (
	"context"
	"hash/maphash"
	"net/netip"
	"slices"
	"sync"
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
}

var decisions = sync.Pool{New: func() any { return new(decision) }}

// free keeps the decision's memory for another one.
func (d *decision) free() {
	clear(d.items)
	*d = decision{items: d.items[:0], locked: d.locked[:0]}
	decisions.Put(d)
}

// item is one rule of a decision with the caller's state.
type item struct {
	rule  *rule
	shard *shard
	key   key

	// As of the last look, under the shard's lock:
	at     int64 // the shard's time
	caller caller
	state  *state
	quota  *quota
	known  bool // left is known: a quota was loaded
	left   int64
	next   time.Duration // until left grows; 0 if that is not known
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
	d := decisions.Get().(*decision)
	defer d.free()
	d.l, d.now, d.wall = l, l.elapsed(now), now
	d.find(who, sets)
	l.sweep(d.now, now)
	v := newVerdict()
	if len(d.items) == 0 {
		return v
	}
	for deadline := l.writer.deadline(); ; {
		d.lock()
		waits, full := d.look(take)
		v.judge(d.items)
		if full {
			v.refuse(errFull, time.Minute)
		}
		if v.problem == nil && take && len(waits) == 0 {
			d.take(v)
		}
		d.unlock()
		if len(waits) == 0 {
			v.describe(d.items)
			return v
		}
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
	for _, set := range sets {
		if set == nil {
			continue
		}
		for _, r := range set.rules {
			it := item{rule: r, key: key{scope: r.scopeID}}
			switch {
			case r.per == PerRoute:
				it.shard = &d.l.consumers[r.hash%shards]
			case r.per == PerConsumer && consumer != "":
				it.key.id, it.shard = consumer, &d.l.consumers[maphash.String(seed, consumer)%shards]
			default:
				if address == "" {
					address = addressID(who.Address)
				}
				it.key.id, it.shard = address, &d.l.addresses[maphash.String(seed, address)%shards]
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
		if have := &d.items[i]; have.rule.id == it.rule.id && have.shard == it.shard && have.key == it.key {
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

// look reads what each rule says. If all allow the request (or nothing is to be taken), it
// returns what has to be waited for; full tells that a shard has no room for a new state.
func (d *decision) look(take bool) (waits []*flight, full bool) {
	if d.lookUp(); d.lacks(take) {
		if !d.makeRoom(take) {
			return nil, true
		}
		d.lookUp() // what made room may have been ours
	}
	refused := false
	for i := range d.items {
		it := &d.items[i]
		it.read(d.wall)
		refused = refused || it.known && it.left == 0
	}
	if refused && take {
		return nil, false
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

// lookUp finds the states that there are.
func (d *decision) lookUp() {
	for i := range d.items {
		it := &d.items[i]
		it.at = it.shard.now
		if i > 0 && it.key == d.items[i-1].key && it.shard == d.items[i-1].shard {
			it.caller = d.items[i-1].caller
		} else {
			it.caller = it.shard.callers[it.key]
		}
		if it.rule.kind == kindQuota {
			it.quota = it.caller.quota
		} else {
			it.state = it.caller.state(it.rule.id)
		}
	}
}

// lacks reports whether a state has to be added to a shard that is full.
func (it *item) lacks(take bool) bool {
	return it.state == nil && it.quota == nil && it.shard.size >= it.shard.max && (take || it.rule.kind == kindQuota)
}

func (d *decision) lacks(take bool) bool {
	return slices.ContainsFunc(d.items, func(it item) bool { return it.lacks(take) })
}

// makeRoom makes it for the states that have to be added. It reports whether there is some.
func (d *decision) makeRoom(take bool) bool {
	for i := range d.items {
		if it := &d.items[i]; it.lacks(take) && !it.shard.makeRoomLocked(d.wall) {
			return false
		}
	}
	return true
}

// read sets what the rule says.
func (it *item) read(wall time.Time) {
	r := it.rule
	it.known = true
	switch r.kind {
	case kindRate:
		var c cell // fresh
		if st := it.state; st != nil {
			c = st.cell()
			if late := it.at + r.rate.per; c.end > late { // the clock was set back
				c.end = late
				st.set(c)
			}
		}
		it.left, it.next = r.rate.look(c, it.at)
	case kindConcurrency:
		it.left = r.quota.N
		if it.state != nil {
			it.left = max(0, r.quota.N-int64(it.state.runs))
		}
	case kindQuota:
		if it.known = it.quota != nil && it.quota.loaded(); it.known {
			it.quota.roll(r.quota, wall)
			it.left = max(0, r.quota.N-it.quota.used)
			it.next = time.Unix(it.quota.end, 0).Sub(wall)
		}
	}
}

// take uses up one of every rule; look has just allowed it.
func (d *decision) take(v *Verdict) {
	for i := range d.items {
		it := &d.items[i]
		r := it.rule
		if r.kind != kindQuota && it.state == nil {
			it.state = &state{rule: r.id}
			it.shard.addLocked(it.key, it.state, nil)
		}
		it.left--
		switch r.kind {
		case kindRate:
			c := r.rate.take(it.state.cell(), it.at)
			it.state.set(c)
			it.left, it.next = r.rate.look(c, it.at)
		case kindConcurrency:
			it.state.runs++
			v.held = append(v.held, held{it.shard, it.state})
		case kindQuota:
			it.quota.used++
			d.l.writer.askAhead(it)
		}
	}
}
