package jobs

import "time"

// Defaults of a job whose submission does not say otherwise.
const (
	DefaultMaxAttempts = 5
	DefaultTimeout     = 5 * time.Minute    // of one attempt
	DefaultRetention   = 7 * 24 * time.Hour // after the end
)

// DefaultBackoff is the backoff of a job whose submission names none.
var DefaultBackoff = Backoff{Exponential, time.Second, 5 * time.Minute}

// Defaults of Options.
const (
	DefaultLease  = 30 * time.Second
	DefaultLogAge = 24 * time.Hour
	DefaultSlots  = 64
)
