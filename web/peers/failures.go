package peers

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// Failures limits failed attempts by address with token buckets, in a fixed amount of memory:
// addresses with the same hash share a bucket.
type Failures struct {
	burst   float64       // allowed at once
	every   time.Duration // time after which one more is allowed
	seed    maphash.Seed
	mu      sync.Mutex // protects buckets
	buckets [failureBuckets]allowance
}

const failureBuckets = 4096

type allowance struct {
	used float64 // of the burst, as of at
	at   time.Time
}

// NewFailures allows burst failures at once, and one more after each time every.
func NewFailures(burst int, every time.Duration) *Failures {
	return &Failures{burst: float64(burst), every: every, seed: maphash.MakeSeed()}
}

// Fail counts a failure. It returns how long the address has to wait if there were too many,
// else 0.
func (f *Failures) Fail(address netip.Addr, now time.Time) time.Duration {
	bucket := &f.buckets[maphash.Comparable(f.seed, addressBlock(address))%failureBuckets]
	f.mu.Lock()
	defer f.mu.Unlock()
	if elapsed := now.Sub(bucket.at); elapsed > 0 {
		bucket.used = max(0, bucket.used-float64(elapsed)/float64(f.every))
		bucket.at = now
	}
	if bucket.used+1 > f.burst {
		return time.Duration((bucket.used + 1 - f.burst) * float64(f.every))
	}
	bucket.used++
	return 0
}
