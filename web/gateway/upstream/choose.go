package upstream

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// choose returns a member that is ready for a request and not in not, and lets the request pass.
// The error is *Unavailable.
func (p *Pool) choose(key string, now time.Time, not []*member) (*member, pass, error) {
	for {
		var m *member
		if key != "" {
			m = p.byKey(key, now, not)
		} else {
			m = p.atRandom(now, not)
		}
		if m == nil {
			return nil, pass{}, p.unavailable(now)
		}
		if got, ok := m.acquire(now); ok {
			return m, got, nil
		}
		not = append(slices.Clip(not), m) // another request was faster
	}
}

// atRandom returns a member at random, by weight; nil if none is ready.
func (p *Pool) atRandom(now time.Time, not []*member) (chosen *member) {
	total := 0
	for _, m := range p.members {
		if !slices.Contains(not, m) && m.ready(now) {
			// So each member is left with its share of the total in the end.
			if total += m.weight; rand.IntN(total) < m.weight {
				chosen = m
			}
		}
	}
	return chosen
}

// byKey returns the member for a key by weighted rendezvous hashing: each member draws a number
// from the key and its own name, and the highest one has it. So a change of one member moves
// only the keys that it gains or loses. It is nil if none is ready.
func (p *Pool) byKey(key string, now time.Time, not []*member) (chosen *member) {
	hash, highest := hashOf(key), math.Inf(-1)
	for _, m := range p.members {
		if slices.Contains(not, m) || !m.ready(now) {
			continue
		}
		u := (float64(mix(hash^m.hash)>>11) + .5) / (1 << 53) // in (0, 1), evenly
		if score := -float64(m.weight) / math.Log(u); score > highest {
			chosen, highest = m, score
		}
	}
	return chosen
}

// hashOf is the same on every node and after a restart.
func hashOf(s string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(s))
	return mix(h.Sum64())
}

// mix spreads the bits of a number (the end of SplitMix64).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
