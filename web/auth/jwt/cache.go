package jwt

import (
	"crypto/sha256"
	"sync"
	"time"
)

// cache remembers verified tokens by their hash. It has two generations: when the young one is
// full, it becomes the old one, and what was in the old one and not asked for since is forgotten.
type cache struct {
	limit int // bytes; at most 0 for nothing

	mu         sync.Mutex // protects the fields below
	young, old map[tokenHash]verified
	size       int // bytes in young
}

type tokenHash = [sha256.Size]byte

// verified is what is known of a token.
type verified struct {
	claims Claims
	keys   *keySet // with which it was verified
	size   int     // bytes, about
}

// get returns the claims of a token that was verified with these keys and has not expired.
func (c *cache) get(hash tokenHash, keys *keySet, now time.Time) (Claims, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.young[hash]
	if !ok {
		if v, ok = c.old[hash]; ok {
			delete(c.old, hash)
			c.putLocked(hash, v)
		}
	}
	if !ok || v.keys != keys || !now.Before(v.claims.Expires) {
		return Claims{}, false
	}
	return v.claims, true
}

// put remembers a verified token of some bytes.
func (c *cache) put(hash tokenHash, claims Claims, keys *keySet, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.putLocked(hash, verified{claims, keys, 2*bytes + 1024}) // the claims, decoded, and the map
}

func (c *cache) putLocked(hash tokenHash, v verified) {
	if v.size > c.limit/2 {
		return
	}
	if c.size+v.size > c.limit/2 {
		c.young, c.old, c.size = nil, c.young, 0
	}
	if c.young == nil {
		c.young = map[tokenHash]verified{}
	}
	c.size += v.size - c.young[hash].size
	c.young[hash] = v
}
