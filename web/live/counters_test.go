package live

import (
	"testing"
	"time"
)

// Each delay is counted in the first step that does not end before it.
func TestDelaySteps(t *testing.T) {
	s := &Server{}
	for step, d := range s.Counts().Delays {
		if d.Most == 0 { // the one without an end
			d.Most = time.Hour
		} else if after := delayStep(d.Most + 1); after != step+1 {
			t.Errorf("more than %s is counted in step %d, want %d", d.Most, after, step+1)
		}
		if at := delayStep(d.Most); at != step {
			t.Errorf("%s is counted in step %d, want %d", d.Most, at, step)
		}
	}
	if at := delayStep(-time.Second); at != 0 {
		t.Errorf("a delay below 0 is counted in step %d", at)
	}
}
