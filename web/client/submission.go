package client

import (
	"context"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Submission is a job to submit. The zero value of each member means its default.
type Submission struct {
	Kind     string    `json:"kind"`
	Queue    string    `json:"queue,omitzero"`
	Input    any       `json:"input,omitzero"`    // any value that marshals to JSON; a jsontext.Value is sent unchanged
	Priority int       `json:"priority,omitzero"` // -100 to 100, higher first
	Tags     []string  `json:"tags,omitzero"`
	RunAt    time.Time `json:"run_at,omitzero"`

	Delay        time.Duration `json:"delay,omitzero"`         // instead of RunAt
	Timeout      time.Duration `json:"timeout,omitzero"`       // of one attempt
	QueueTimeout time.Duration `json:"queue_timeout,omitzero"` // the job fails as expired if it waits longer in its queue
	Retention    time.Duration `json:"retention,omitzero"`     // how long the job is kept after its end
	Retry        Retry         `json:"retry,omitzero"`
	Rerun        string        `json:"rerun,omitzero"` // never: fail as worker_lost rather than run again after a lost attempt

	OrderingKey string   `json:"ordering_key,omitzero"` // jobs of one ordering key run one at a time, in order of acceptance
	FairKey     string   `json:"fair_key,omitzero"`     // takes turns with other fair keys in its queue, under the queue's per_key limit
	After       []string `json:"after,omitempty"`       // run only after the jobs with these ids have succeeded

	Callbacks []Callback `json:"callbacks,omitempty"`
	Unique    *Unique    `json:"unique,omitzero"` // nil for any number of similar jobs
}

// UnmarshalJSON reads a submission from the hub. Its Input is a jsontext.Value.
func (s *Submission) UnmarshalJSON(text []byte) error {
	type Members Submission // without this method
	var m struct {
		Members
		Input jsontext.Value `json:"input"`
	}
	if err := json.Unmarshal(text, &m, durationsFromText); err != nil {
		return err
	}
	if *s = Submission(m.Members); m.Input != nil {
		s.Input = m.Input
	}
	return nil
}

// Callback is a URL that gets the events of a job, signed as Standard Webhooks 1.0 says.
type Callback struct {
	URL      string   `json:"url"`
	Events   []string `json:"events,omitempty"`  // like job.started; the final events if empty
	Secret   string   `json:"secret,omitzero"`   // whsec_ and 24 to 64 bytes as base64; the hub's secret if empty; the hub shows whsec_***
	Disabled bool     `json:"disabled,omitzero"` // of a job: the receiver answered 410 Gone
}

// Retry says how often a job is attempted and how long it waits in between.
type Retry struct {
	MaxAttempts int           `json:"max_attempts,omitzero"`
	Backoff     string        `json:"backoff,omitzero"` // exponential, linear or fixed
	Initial     time.Duration `json:"initial,omitzero"`
	Max         time.Duration `json:"max,omitzero"`
}

// Unique makes the hub accept a job only if there is no similar job. The zero value of each
// member means its default.
type Unique struct {
	By       []string      `json:"by,omitempty"`      // of kind, queue, input, fair_key; the first three
	While    string        `json:"while,omitzero"`    // unfinished or kept: until when a job counts; unfinished
	Within   time.Duration `json:"within,omitzero"`   // only jobs accepted in this time before count
	Conflict string        `json:"conflict,omitzero"` // return, refuse or replace; return
}

// Submit submits a job and returns it once the hub has stored it durably. A key that is not
// empty makes it safe to call Submit again when an error is [Unknown].
func (c *Client) Submit(ctx context.Context, s Submission, idempotencyKey string) (j Job, err error) {
	err = c.exchange(ctx, http.MethodPost, "/v1/jobs", idempotencyKey, s, &j)
	return j, err
}
