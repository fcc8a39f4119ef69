package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Job is a job as the hub describes it. Times that have not come yet are zero.
type Job struct {
	ID              string         `json:"id"`
	Kind            string         `json:"kind"`
	Queue           string         `json:"queue"`
	State           string         `json:"state"`  // scheduled, queued, running, retrying, waiting, succeeded, failed or cancelled
	Reason          string         `json:"reason"` // why it ended as it did; empty for success
	Priority        int            `json:"priority"`
	Tags            []string       `json:"tags"`
	Input           jsontext.Value `json:"input"`  // left out of lists when over 1 KiB
	Result          jsontext.Value `json:"result"` // null until there is one
	Error           *Problem       `json:"error"`
	Progress        *Progress      `json:"progress"`
	Attempt         int            `json:"attempt"`
	Start           int            `json:"start"` // number of the newest start: it rises with each, whether an attempt was spent or not
	MaxAttempts     int            `json:"max_attempts"`
	CreatedAt       time.Time      `json:"created_at"`
	ScheduledAt     time.Time      `json:"scheduled_at"`
	StartedAt       time.Time      `json:"started_at"` // of the newest attempt
	FinishedAt      time.Time      `json:"finished_at"`
	ExpiresAt       time.Time      `json:"expires_at"` // the queue's deadline
	CancelRequested bool           `json:"cancel_requested"`
	RetryOf         string         `json:"retry_of"`
	RetriedBy       string         `json:"retried_by"` // its newest retry
	Existing        bool           `json:"existing"`   // of an answer to Submit or Retry: it was there already, and none was made
	Parent          string         `json:"parent"`
	Version         uint64         `json:"version"` // counts its changes of state
	Epoch           string         `json:"epoch"`   // with Seq: the position at which it was read
	Seq             uint64         `json:"seq"`
	Links           Links          `json:"links"`

	Raw jsontext.Value `json:"-"` // the document as it came, with members unknown here
}

// Progress is what a job last said of how far it is. Percent is nil where it can't tell.
type Progress struct {
	Percent *float64       `json:"percent"`
	Message string         `json:"message"`
	Data    jsontext.Value `json:"data"`
}

// Links are the paths of a job on its hub.
type Links struct {
	Self     string `json:"self"`
	Response string `json:"response"` // what a synchronous call would have answered
	Cancel   string `json:"cancel"`
	Events   string `json:"events"`
	HTML     string `json:"html"` // its page on the dashboard
}

// Final reports whether the job has ended and never changes again.
func (j *Job) Final() bool { return finalState(j.State) }

// Position is where to resume from to see all that happens to the job after j.
func (j *Job) Position() Position { return Position{j.Epoch, j.Seq} }

func finalState(s string) bool { return s == "succeeded" || s == "failed" || s == "cancelled" }

// UnmarshalJSON keeps the document in Raw besides decoding it.
func (j *Job) UnmarshalJSON(text []byte) error {
	type members Job // without this method
	var m members
	if err := json.Unmarshal(text, &m); err != nil {
		return err
	}
	*j = Job(m)
	j.Raw = jsontext.Value(text).Clone()
	return nil
}

// Submission is a job to be done. The zero value of each member means its default.
type Submission struct {
	Kind     string        `json:"kind"`
	Queue    string        `json:"queue,omitzero"`
	Input    any           `json:"input,omitzero"` // whatever marshals to JSON; a jsontext.Value goes as it is
	Priority int           `json:"priority,omitzero"`
	Tags     []string      `json:"tags,omitzero"`
	FairKey  string        `json:"fair_key,omitzero"` // takes turns with other fair keys in its queue, under the queue's per_key limit
	RunAt    time.Time     `json:"run_at,omitzero"`
	Delay    time.Duration `json:"delay,omitzero"`   // instead of RunAt
	Timeout  time.Duration `json:"timeout,omitzero"` // of one attempt
	Retry    Retry         `json:"retry,omitzero"`

	Callbacks []Callback `json:"callbacks,omitempty"`
	Unique    *Unique    `json:"unique,omitzero"` // nil for any number of such jobs
}

// Callback is where the hub tells of a job's changes, signed as Standard Webhooks 1.0 says.
type Callback struct {
	URL    string   `json:"url"`
	Events []string `json:"events,omitempty"` // like job.started; the ends of a job if there are none
	Secret string   `json:"secret,omitzero"`  // whsec_ and 24 to 64 bytes as base64; that of the hub if empty
}

// Retry says how often a job is attempted and how long it waits in between.
type Retry struct {
	MaxAttempts int           `json:"max_attempts,omitzero"`
	Backoff     string        `json:"backoff,omitzero"` // exponential, linear or fixed
	Initial     time.Duration `json:"initial,omitzero"`
	Max         time.Duration `json:"max,omitzero"`
}

// durationsAsText writes durations as the API takes them: "30s".
var durationsAsText = json.WithMarshalers(json.MarshalToFunc(func(enc *jsontext.Encoder, d time.Duration) error {
	return enc.WriteToken(jsontext.String(d.String()))
}))

// Submit hands in a job and returns it as accepted, durably. A key that is not
// empty makes it safe to call Submit again when an error is [Unknown].
func (c *Client) Submit(ctx context.Context, s Submission, idempotencyKey string) (Job, error) {
	body, err := json.Marshal(s, durationsAsText)
	if err != nil {
		return Job{}, err
	}
	header := http.Header{}
	if idempotencyKey != "" {
		header.Set("Idempotency-Key", idempotencyKey)
	}
	var j Job
	err = c.call(ctx, http.MethodPost, "/v1/jobs", header, body, &j)
	return j, err
}

// Job returns the job of that id.
func (c *Client) Job(ctx context.Context, id string) (Job, error) {
	var j Job
	err := c.call(ctx, http.MethodGet, "/v1/jobs/"+url.PathEscape(id), nil, nil, &j)
	return j, err
}

// Cancel asks for the end of a job and returns it as it is now: a running job is
// still running and has its worker told to stop. A finished job stays as it is.
func (c *Client) Cancel(ctx context.Context, id string) (Job, error) {
	var j Job
	err := c.call(ctx, http.MethodPost, "/v1/jobs/"+url.PathEscape(id)+"/cancel", nil, nil, &j)
	return j, err
}

// Wait returns the job of that id once it is final.
func (c *Client) Wait(ctx context.Context, id string) (Job, error) {
	for m, err := range c.Watch(ctx, Filter{Job: id}, WatchOptions{Snapshot: true, Progress: "none"}) {
		if err != nil {
			return Job{}, err
		}
		if m.Final() {
			break
		}
	}
	return c.Job(ctx, id)
}

// ListOptions selects jobs. The zero value selects all of them.
type ListOptions struct {
	States []string
	Queue  string
	Kind   string
	Tag    string
	Limit  int    // of a page; 50 if 0, at most 500
	Cursor string // Page.NextCursor of the page before
}

// Page is one page of a list, newest jobs first.
type Page struct {
	Jobs       []Job  `json:"jobs"`
	NextCursor string `json:"next_cursor"` // empty on the last page
	Epoch      string `json:"epoch"`
	Seq        uint64 `json:"seq"`
}

// Jobs returns one page of the jobs selected.
func (c *Client) Jobs(ctx context.Context, o ListOptions) (Page, error) {
	query := url.Values{}
	for name, value := range map[string]string{"state": strings.Join(o.States, ","), "queue": o.Queue, "kind": o.Kind, "tag": o.Tag, "cursor": o.Cursor} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if o.Limit > 0 {
		query.Set("limit", strconv.Itoa(o.Limit))
	}
	var p Page
	err := c.call(ctx, http.MethodGet, "/v1/jobs?"+query.Encode(), nil, nil, &p)
	return p, err
}
