package limit

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestModel compares a rate with a list of the requests that have passed: a window begins with
// the first request after the one before, and n pass in each.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 12).Draw(t, "n")
		per := rapid.OneOf(rapid.Int64Range(int64(minRate), int64(minRate)+20), rapid.Int64Range(int64(minRate), int64(maxRate))).Draw(t, "per")
		r := newRate(n, time.Duration(per))
		var c cell
		var passed []int64 // in the window of the first of them
		now := int64(0)
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "waits") {
				now += rapid.OneOf(rapid.Int64Range(0, 2*per/int64(n)), rapid.Int64Range(0, 2*per), rapid.Just(per)).Draw(t, "for")
			}
			if len(passed) > 0 && now >= passed[0]+per {
				passed = nil
			}
			wantLeft, wantNext := int64(n-len(passed)), per
			if len(passed) > 0 {
				wantNext = passed[0] + per - now
			}
			left, next := r.look(c, now)
			if left != wantLeft || int64(next) != wantNext {
				t.Fatalf("at %d: %d left, more in %d; the model says %d, %d", now, left, next, wantLeft, wantNext)
			}
			if left > 0 {
				c = r.take(c, now)
				passed = append(passed, now)
			}
		}
	})
}

// TestLargestRate: the largest numbers do not overflow.
func TestLargestRate(t *testing.T) {
	r := newRate(maxNumber, maxRate)
	c := cell{int64(maxRate), maxNumber - 1}
	if left, next := r.look(c, 1); left != 1 || int64(next) != int64(maxRate)-1 {
		t.Errorf("%d left, more in %s", left, next)
	}
	if left, _ := r.look(r.take(c, 1), 1); left != 0 {
		t.Errorf("%d left after the last", left)
	}
}
