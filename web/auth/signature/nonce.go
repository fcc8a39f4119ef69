package signature

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"time"
)

// Bounds of the memory for nonces. One takes about 40 bytes.
const (
	maxNonces    = 1_000_000
	maxKeyNonces = maxNonces / 4 // of one key
)

// nonces remembers which nonces were used. They are kept in buckets by the minute in which they
// can be forgotten.
type nonces struct {
	most, mostOfKey int // for tests; 0 for maxNonces and maxKeyNonces

	mu      sync.Mutex // protects the fields below
	buckets map[int64]*bucket
	total   int
	ofKey   map[string]int
}

type bucket struct {
	seen  map[nonceHash]bool
	ofKey map[string]int
}

type nonceHash [16]byte

const bucketSeconds = 60

// use remembers a nonce of a key until a time. The error is errReplayed if it was used before, and
// errFull if no more can be remembered.
func (n *nonces) use(key, nonce string, until, now time.Time) error {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%s%s", len(key), key, nonce))
	hash := nonceHash(sum[:])
	n.mu.Lock()
	defer n.mu.Unlock()
	n.forgetLocked(now)
	for _, b := range n.buckets {
		if b.seen[hash] {
			return errReplayed
		}
	}
	most, mostOfKey := maxNonces, maxKeyNonces
	if n.most != 0 {
		most, mostOfKey = n.most, n.mostOfKey
	}
	if n.total >= most || n.ofKey[key] >= mostOfKey {
		return errFull
	}
	if n.buckets == nil {
		n.buckets, n.ofKey = map[int64]*bucket{}, map[string]int{}
	}
	b := n.buckets[until.Unix()/bucketSeconds]
	if b == nil {
		b = &bucket{map[nonceHash]bool{}, map[string]int{}}
		n.buckets[until.Unix()/bucketSeconds] = b
	}
	b.seen[hash] = true
	b.ofKey[key]++
	n.ofKey[key]++
	n.total++
	return nil
}

// forgetLocked drops the buckets whose minute is over.
func (n *nonces) forgetLocked(now time.Time) {
	for minute, b := range n.buckets {
		if now.Unix() < (minute+1)*bucketSeconds {
			continue
		}
		delete(n.buckets, minute)
		n.total -= len(b.seen)
		for key, count := range b.ofKey {
			if n.ofKey[key] -= count; n.ofKey[key] == 0 {
				delete(n.ofKey, key)
			}
		}
	}
}
