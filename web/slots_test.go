package web_test

import "testing"

// Two calls of one worker never bring more than it has slots for.
func TestPollsOfOneWorkerShareItsSlots(t *testing.T) {
	timeless(t, func(t *testing.T, w *world) {
		k := w.worker(1, "k")
		first, second := held(func() reply { return k.poll(1, "25s") }), held(func() reply { return k.poll(1, "25s") })
		w.submit(`{"kind":"k"}`)
		w.submit(`{"kind":"k"}`)
		a, b := <-first, <-second
		if n := len(a.want(200).leased()) + len(b.want(200).leased()); n != 1 {
			t.Errorf("%d jobs for one slot", n)
		}
	})
}
