package limit

import (
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// model is GCRA by the book, in fractions: a bucket that leaks one request each per/n.
type model struct {
	n, per int64
	level  *big.Rat // requests in the bucket, at most n
	last   int64
}

func (m *model) leak(now int64) {
	m.level.Sub(m.level, big.NewRat(0, 1).Mul(big.NewRat(now-m.last, 1), big.NewRat(m.n, m.per)))
	if m.level.Sign() < 0 {
		m.level.SetInt64(0)
	}
	m.last = now
}

// left is how many requests fit, and the nanoseconds until one more fits.
func (m *model) left(now int64) (int64, int64) {
	m.leak(now)
	room := big.NewRat(0, 1).Sub(big.NewRat(m.n, 1), m.level)
	whole := big.NewInt(0).Quo(room.Num(), room.Denom())
	missing := big.NewRat(0, 1).Sub(big.NewRat(whole.Int64()+1, 1), room)
	wait := missing.Mul(missing, big.NewRat(m.per, m.n))
	ns := big.NewInt(0).Add(wait.Num(), big.NewInt(0).Sub(wait.Denom(), big.NewInt(1)))
	return whole.Int64(), ns.Quo(ns, wait.Denom()).Int64()
}

// TestModel compares the arithmetic with that of the model.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.IntRange(1, 12), rapid.IntRange(1, maxNumber)).Draw(t, "n")
		per := rapid.OneOf(rapid.Int64Range(int64(minRate), int64(minRate)+20), rapid.Int64Range(int64(minRate), int64(maxRate))).Draw(t, "per")
		r := newRate(n, time.Duration(per))
		m := &model{n: int64(n), per: per, level: big.NewRat(0, 1)}
		var c cell
		now := int64(0)
		pass := func() bool {
			left, next := r.look(c, now)
			wantLeft, wantNext := m.left(now)
			if left != wantLeft || int64(next) != wantNext {
				t.Fatalf("at %d: %d left, one more in %d; the model says %d, %d", now, left, next, wantLeft, wantNext)
			}
			if left == 0 {
				return false
			}
			c = r.take(c, now)
			m.level.Add(m.level, big.NewRat(1, 1))
			return true
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0: // some at once
				for range rapid.IntRange(1, 30).Draw(t, "times") {
					pass()
				}
			case 1:
				now += rapid.Int64Range(0, 2*per/int64(n)).Draw(t, "a moment")
			case 2:
				now += rapid.Int64Range(0, 2*per).Draw(t, "a while")
			case 3: // as long as it says, and not a nanosecond less
				left, next := r.look(c, now)
				if c.fresh(now) {
					break
				}
				if before, _ := r.look(c, now+int64(next)-1); before != left {
					t.Fatalf("%d left a nanosecond early, not %d", before, left)
				}
				now += int64(next)
				if after, _ := r.look(c, now); after <= left {
					t.Fatalf("%d left after the wait, not more than %d", after, left)
				}
			}
		}
		if left, _ := r.look(c, now); left < 1000 { // what it says is what passes
			for range left {
				if !pass() {
					t.Fatal("refused although there was something left")
				}
			}
			if pass() {
				t.Fatal("passed although nothing was left")
			}
		}
	})
}

// TestLongRun: over a long time exactly the rate passes, whatever per/n is.
func TestLongRun(t *testing.T) {
	for _, n := range []int{1, 3, 7, 999} {
		r := newRate(n, time.Second)
		var c cell
		passed := 0
		for now := int64(0); now < 100*int64(time.Second); { // whenever one may
			left, next := r.look(c, now)
			if left == 0 {
				now += int64(next)
				continue
			}
			c = r.take(c, now)
			passed++
		}
		if passed != 100*n+n-1 { // all of a second at once, and what came back before the end
			t.Errorf("%d passed in 100 s at %d/s", passed, n)
		}
	}
}
