package jobs

import (
	"math/rand/v2"
	"time"
)

// BackoffKind says how the wait grows from attempt to attempt.
type BackoffKind uint8

const (
	Exponential BackoffKind = iota // initial, ×2, ×4 …
	Linear                         // initial, ×2, ×3 …
	Fixed                          // always initial
)

// BackoffNames are the words for the kinds of a Backoff, by BackoffKind.
var BackoffNames = []string{"exponential", "linear", "fixed"}

// Backoff says how long a job waits between attempts.
type Backoff struct {
	Kind    BackoffKind
	Initial time.Duration
	Max     time.Duration
}

// Delay is the wait after the given attempt (from 1) failed: within 20 % below the
// nominal time, so that jobs that failed together do not come back together.
func (b Backoff) Delay(attempt int) time.Duration {
	d := b.Initial
	switch b.Kind {
	case Exponential:
		for i := 1; i < attempt && d < b.Max; i++ {
			d *= 2
		}
	case Linear:
		if n := time.Duration(attempt); b.Initial > 0 && n > b.Max/b.Initial {
			d = b.Max
		} else {
			d *= n
		}
	}
	d = min(d, b.Max)
	return d - time.Duration(rand.Int64N(int64(d)/5+1))
}
