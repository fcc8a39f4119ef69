package peers

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// Failures counts failed attempts by address, in a fixed amount of memory: addresses that
// share a place in the table share their allowance.
type Failures struct {
	burst   float64       // so many at once
	every   time.Duration // and one more each
	seed    maphash.Seed
	mu      sync.Mutex // protects places
	buckets [failureBuckets]allowance
}

const failureBuckets = 4096

type allowance struct {
	used float64 // of the burst, as of at
	at   time.Time
}

// NewFailures allows for so many failures at once, and one more each.
func NewFailures(burst int, every time.Duration) *Failures {
	return &Failures{burst: float64(burst), every: every, seed: maphash.MakeSeed()}
}

// Fail counts a failure, and returns how long the address has to wait if these were too
// many, or 0.
func (f *Failures) Fail(address netip.Addr, now time.Time) time.Duration {
	place := &f.buckets[maphash.Comparable(f.seed, addressBlock(address))%failureBuckets]
	f.mu.Lock()
	defer f.mu.Unlock()
	if gone := now.Sub(place.at); gone > 0 {
		place.used = max(0, place.used-float64(gone)/float64(f.every))
		place.at = now
	}
	if place.used+1 > f.burst {
		return time.Duration((place.used + 1 - f.burst) * float64(f.every))
	}
	place.used++
	return 0
}
