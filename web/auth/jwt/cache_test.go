package jwt

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestRememberedTokensExpire: a token that was verified before is refused from its expiry on.
func TestRememberedTokensExpire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := start(t, options(&provider{document: jwks(named("ed", edPrivate))}))
		token := edToken("ed", payload(""))
		verify(t, i, token)
		if len(i.cache.young) != 1 {
			t.Fatal("the token is not remembered")
		}
		time.Sleep(time.Hour - time.Nanosecond)
		verify(t, i, token)
		time.Sleep(time.Nanosecond)
		refuse(t, i, token, 401, "expired")
	})
}

func TestCacheIsBounded(t *testing.T) {
	const tokens, size = 10_000, 500
	c := cache{limit: 100 * (2*size + 1024)}
	set, now := &keySet{}, time.Now()
	claims := Claims{Expires: now.Add(time.Hour)}
	hash := func(n int) (h tokenHash) {
		copy(h[:], fmt.Sprint(n))
		return h
	}
	for n := range tokens {
		claims.Subject = fmt.Sprint(n)
		c.put(hash(n), claims, set, size)
		if got, ok := c.get(hash(n), set, now); !ok || got.Subject != claims.Subject {
			t.Fatalf("token %d is forgotten at once", n)
		}
		if _, ok := c.get(hash(0), set, now); !ok {
			t.Fatalf("token 0, which is in use, is forgotten after %d", n)
		}
		if held := len(c.young) + len(c.old); held > 100 {
			t.Fatalf("%d tokens are held, want 100 at most", held)
		}
	}
	if _, ok := c.get(hash(5), set, now); ok {
		t.Error("token 5, which nobody uses, is held still")
	}
	if _, ok := c.get(hash(0), &keySet{}, now); ok {
		t.Error("a token counts with other keys than those that verified it")
	}
	none := cache{limit: -1}
	none.put(hash(1), claims, set, size)
	if _, ok := none.get(hash(1), set, now); ok {
		t.Error("a cache of no bytes holds a token")
	}
	for range tokens { // the same token, again and again
		c.put(hash(1), claims, set, size)
	}
	if _, ok := c.get(hash(0), set, now); !ok {
		t.Error("one token fills the cache")
	}
}
