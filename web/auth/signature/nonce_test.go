package signature

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestReplay: a request with a nonce is taken once, for as long as its signature could count.
func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var v Verifier
		time.Sleep(37 * time.Second) // so that what is remembered does not end with a minute
		begin := time.Now()
		list := func(keyid, nonce string) string {
			return covered + by(keyid, begin.Add(MaxAhead), `;nonce="`+nonce+`"`)
		}
		send := func(keyid, nonce string) error {
			_, err := v.Verify(signed(t, request("GET", "/", ""), "sig", list(keyid, nonce), secret), secretOf)
			return err
		}
		for _, keyid := range []string{"k1", "k2"} { // nonces are those of a key
			if err := send(keyid, "a"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := v.Verify(signed(t, request("GET", "/other", ""), "sig", covered+by("k1", begin, `;nonce="a"`), secret), secretOf); err != errReplayed {
			t.Errorf("the nonce of another request gives %v", err)
		}
		for time.Since(begin) <= MaxAge+MaxAhead {
			if err := send("k1", "a"); err != errReplayed {
				t.Fatalf("after %v: %v", time.Since(begin), err)
			}
			time.Sleep(time.Second)
		}
		checkProblem(t, "after its time", send("k1", "a"), 401, "too old")
		time.Sleep(2 * time.Minute)
		if _, err := v.Verify(signed(t, request("GET", "/", ""), "sig", covered+by("k1", time.Now(), `;nonce="b"`), secret), secretOf); err != nil {
			t.Error(err)
		}
		if v.nonces.total != 1 || len(v.nonces.buckets) != 1 || len(v.nonces.ofKey) != 1 {
			t.Errorf("%d nonces of %d keys in %d buckets are remembered, want one", v.nonces.total, len(v.nonces.ofKey), len(v.nonces.buckets))
		}
	})
}

// TestForgedNonces: a request that is refused uses up no nonce.
func TestForgedNonces(t *testing.T) {
	var v Verifier
	list := covered + by("k1", time.Now(), `;nonce="a"`)
	if _, err := v.Verify(signed(t, request("GET", "/", ""), "sig", list, make([]byte, MinSecret)), secretOf); err != errWrong {
		t.Fatalf("the forged request gives %v", err)
	}
	if _, err := v.Verify(signed(t, request("GET", "/", ""), "sig", list, secret), secretOf); err != nil {
		t.Error(err)
	}
}

func TestParallelReplays(t *testing.T) {
	var v Verifier
	var taken atomic.Int32
	var senders sync.WaitGroup
	list := covered + by("k1", time.Now(), `;nonce="a"`)
	for range 100 {
		senders.Go(func() {
			if _, err := v.Verify(signed(t, request("GET", "/", ""), "sig", list, secret), secretOf); err == nil {
				taken.Add(1)
			}
		})
	}
	senders.Wait()
	if taken.Load() != 1 {
		t.Errorf("%d of 100 equal requests were taken, want one", taken.Load())
	}
}

// TestNoncesAreBounded: if the memory is full, requests are refused, and one key leaves room for
// others.
func TestNoncesAreBounded(t *testing.T) {
	n := nonces{most: 10, mostOfKey: 4}
	now := time.Unix(1_700_000_000, 0)
	taken := map[string]int{}
	for _, key := range []string{"a", "b", "c"} {
		for i := range 20 {
			switch err := n.use(key, fmt.Sprint(i), now.Add(MaxAge), now); err {
			case nil:
				taken[key]++
			case errFull:
			default:
				t.Fatal(err)
			}
		}
	}
	if taken["a"] != 4 || taken["b"] != 4 || taken["c"] != 2 {
		t.Errorf("%v were taken, want 10 in all and 4 of a key", taken)
	}
	checkProblem(t, "full", n.use("a", "new", now.Add(MaxAge), now), 503, "nonce")
	later := now.Add(MaxAge + time.Minute)
	if err := n.use("a", "new", later.Add(MaxAge), later); err != nil || n.total != 1 {
		t.Errorf("later %v with %d remembered", err, n.total)
	}
}
