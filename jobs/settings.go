package jobs

import "time"

// QueueSettings are the limits of a queue. Zero means no limit.
type QueueSettings struct {
	Concurrency  int      `json:"concurrency,omitzero"`   // attempts at the same time
	Capacity     int      `json:"capacity,omitzero"`      // unfinished jobs that do not run
	PerKey       int      `json:"per_key,omitzero"`       // attempts of one key at the same time
	Rate         Rate     `json:"rate,omitzero"`          // of starts
	QueueTimeout Duration `json:"queue_timeout,omitzero"` // of jobs that do not name one
	Paused       *Pause   `json:"paused,omitzero"`

	// Callbacks receive the events of all jobs of the queue. A job may name further ones.
	Callbacks []Callback `json:"callbacks,omitzero"`
}

// QueueChange writes the settings of a queue, creates the queue if there is none, and applies
// the settings to the jobs in it.
type QueueChange struct {
	Tenant   string
	Name     string
	Settings QueueSettings
	Event    Event // none if its Type is 0

	Err error // outcome: nil or ErrDamaged
}

// Pause says since when, by whom and why a queue starts no jobs.
type Pause struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// QueueName names a queue among those of all tenants.
type QueueName struct{ Tenant, Name string }

// Duration is a time.Duration that is written in JSON as Go writes it: "1m30s".
type Duration time.Duration

func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}

// QueueInfo is a queue with its maintained counters.
type QueueInfo struct {
	Tenant   string
	Name     string
	Settings QueueSettings
	Counts   [len(stateNames)]int64 // by State
	OldestAt time.Time              // when the oldest queued job was accepted; zero if none is queued
}
