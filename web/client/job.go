package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Job is a job as the hub describes it. Times that have not come yet are zero.
type Job struct {
	ID              string         `json:"id"`
	Kind            string         `json:"kind"`
	Queue           string         `json:"queue"`
	Tenant          string         `json:"tenant"`
	State           string         `json:"state"`  // scheduled, queued, running, retrying, waiting, succeeded, failed or cancelled
	Reason          string         `json:"reason"` // why it ended as it did; empty for success
	Priority        int            `json:"priority"`
	Tags            []string       `json:"tags"`
	OrderingKey     string         `json:"ordering_key"`
	FairKey         string         `json:"fair_key"`
	Input           jsontext.Value `json:"input"`  // left out of lists when over 1 KiB
	Result          jsontext.Value `json:"result"` // null until there is one
	Error           *Problem       `json:"error"`
	Progress        *Progress      `json:"progress"`
	Attempt         int            `json:"attempt"`
	Start           int            `json:"start"` // number of the newest start: it grows with each start, also with one that does not count as an attempt
	MaxAttempts     int            `json:"max_attempts"`
	CreatedAt       time.Time      `json:"created_at"`
	ScheduledAt     time.Time      `json:"scheduled_at"`
	StartedAt       time.Time      `json:"started_at"` // of the newest attempt
	FinishedAt      time.Time      `json:"finished_at"`
	ExpiresAt       time.Time      `json:"expires_at"`     // the queue's deadline
	RetainedUntil   time.Time      `json:"retained_until"` // when the hub deletes it
	CancelRequested bool           `json:"cancel_requested"`
	RetryOf         string         `json:"retry_of"`
	RetriedBy       string         `json:"retried_by"` // its newest retry
	Existing        bool           `json:"existing"`   // in an answer to Submit or Retry: the job existed already, and none was submitted
	Parent          string         `json:"parent"`
	Unique          *Unique        `json:"unique"`
	Callbacks       []Callback     `json:"callbacks"`
	Version         uint64         `json:"version"` // counts its changes of state
	Epoch           string         `json:"epoch"`   // with Seq: the position at which it was read
	Seq             uint64         `json:"seq"`
	Links           Links          `json:"links"`

	Raw jsontext.Value `json:"-"` // the unchanged JSON, also with members that are unknown here
}

// Progress is the last progress that a job reported. Percent is nil if it is unknown.
type Progress struct {
	Percent *float64       `json:"percent"`
	Message string         `json:"message"`
	Data    jsontext.Value `json:"data"`
}

// Links are the paths of a job on its hub.
type Links struct {
	Self     string `json:"self"`
	Response string `json:"response"` // the answer that a synchronous call would have had
	Cancel   string `json:"cancel"`
	Events   string `json:"events"`
	HTML     string `json:"html"` // its page on the dashboard
}

// Final reports whether the job has ended and never changes again.
func (j *Job) Final() bool { return finalState(j.State) }

// Position is where to resume from to get all events of the job after j.
func (j *Job) Position() Position { return Position{j.Epoch, j.Seq} }

func finalState(s string) bool { return s == "succeeded" || s == "failed" || s == "cancelled" }

// UnmarshalJSON decodes a job and keeps its JSON in Raw.
func (j *Job) UnmarshalJSON(text []byte) error {
	type members Job // without this method
	var m members
	if err := json.Unmarshal(text, &m, durationsFromText); err != nil {
		return err
	}
	*j = Job(m)
	j.Raw = jsontext.Value(text).Clone()
	return nil
}

// Job returns the job with that id.
func (c *Client) Job(ctx context.Context, id string) (Job, error) {
	return c.ofJob(ctx, http.MethodGet, id, "", nil)
}

// Cancel requests the end of a job and returns it as it is now: a running job is still
// running, and its worker is told to stop. A finished job stays as it is.
func (c *Client) Cancel(ctx context.Context, id string) (Job, error) {
	return c.ofJob(ctx, http.MethodPost, id, "/cancel", nil)
}

// Wait returns the job with that id once it is final.
func (c *Client) Wait(ctx context.Context, id string) (Job, error) {
	if id == "" {
		return Job{}, errEmptyName
	}
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

// ofJob sends a request about the job with that id, which is answered with a job.
func (c *Client) ofJob(ctx context.Context, method, id, verb string, in any) (j Job, err error) {
	err = c.exchange(ctx, method, "/v1/jobs/"+url.PathEscape(id)+verb, "", in, &j)
	return j, err
}
