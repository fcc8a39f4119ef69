package rest

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestCache: an answer is good for a while, for its key only; an error never is, and
// what nobody asks for any more is forgotten.
func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r Cache[string, int]
		asked, broken := 0, errors.New("broken")
		var fails error
		get := func(key string, want int, wantErr error) {
			t.Helper()
			got, err := r.Get(key, time.Second, func() (int, error) { asked++; return asked, fails })
			if !errors.Is(err, wantErr) || err == nil && got != want {
				t.Errorf("%s is %d, %v; want %d, %v", key, got, err, want, wantErr)
			}
		}
		get("a", 1, nil)
		time.Sleep(time.Second - 1)
		get("a", 1, nil)
		get("b", 2, nil)
		time.Sleep(time.Nanosecond)
		fails = broken
		get("a", 0, broken)
		fails = nil
		get("a", 4, nil)
		get("b", 2, nil)
		time.Sleep(time.Hour)
		get("c", 5, nil)
		if len(r.all) != 1 {
			t.Errorf("it keeps %d answers", len(r.all))
		}
	})
}
