package client

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
)

// Unique asks that a job be accepted only if no job like it is there. The zero value of
// each member means its default.
type Unique struct {
	By       []string      `json:"by,omitempty"`      // of kind, queue, input, fair_key; the first three
	While    string        `json:"while,omitzero"`    // unfinished or kept: until when a job counts; unfinished
	Within   time.Duration `json:"within,omitzero"`   // only jobs accepted in this time before count
	Conflict string        `json:"conflict,omitzero"` // return, refuse or replace; return
}

// Edit says what to change of a job that does not run. Members that are nil stay.
type Edit struct {
	Priority *int           `json:"priority,omitzero"`
	Queue    *string        `json:"queue,omitzero"`
	Tags     *[]string      `json:"tags,omitzero"`
	RunAt    *time.Time     `json:"run_at,omitzero"`
	Delay    *time.Duration `json:"delay,omitzero"` // instead of RunAt
}

// Change changes a job that does not run.
func (c *Client) Change(ctx context.Context, id string, e Edit) (Job, error) {
	body, err := json.Marshal(e, durationsAsText)
	if err != nil {
		return Job{}, err
	}
	var j Job
	err = c.call(ctx, http.MethodPatch, "/v1/jobs/"+url.PathEscape(id), nil, body, &j)
	return j, err
}

// RunNow lets a job that waits for a time join its queue at once.
func (c *Client) RunNow(ctx context.Context, id string) (Job, error) {
	var j Job
	err := c.call(ctx, http.MethodPost, "/v1/jobs/"+url.PathEscape(id)+"/run", nil, nil, &j)
	return j, err
}

// Delete forgets a finished job at once.
func (c *Client) Delete(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodPost, "/v1/jobs/"+url.PathEscape(id)+"/delete", nil, nil, nil)
}

// RetryAgain is Retry for a job that may have a retry: it makes another one.
func (c *Client) RetryAgain(ctx context.Context, id string) (Job, error) {
	return c.retry(ctx, id, struct {
		Again bool `json:"again"`
	}{true})
}

// Bulk is an action on all jobs that a filter selects.
type Bulk struct {
	Action string // cancel, retry, delete or run
	States []string
	Queue  string
	Kind   string
	Tag    string
	Parent string
	Text   string
}

func (c *Client) bulk(ctx context.Context, b Bulk, dryRun bool, out any) error {
	filter := map[string]string{}
	for name, value := range map[string]string{"state": strings.Join(b.States, ","), "queue": b.Queue, "kind": b.Kind, "tag": b.Tag, "parent": b.Parent, "q": b.Text} {
		if value != "" {
			filter[name] = value
		}
	}
	body, err := json.Marshal(struct {
		Action string            `json:"action"`
		Filter map[string]string `json:"filter"`
		DryRun bool              `json:"dry_run"`
	}{b.Action, filter, dryRun}, json.Deterministic(true))
	if err != nil {
		return err
	}
	return c.call(ctx, http.MethodPost, "/v1/jobs:bulk", nil, body, out)
}

// Bulk submits the job that acts on all jobs of b. Its result counts what was done.
func (c *Client) Bulk(ctx context.Context, b Bulk) (Job, error) {
	var j Job
	err := c.bulk(ctx, b, false, &j)
	return j, err
}

// CountBulk is how many jobs a Bulk would concern now.
func (c *Client) CountBulk(ctx context.Context, b Bulk) (int64, error) {
	var out struct {
		Count int64 `json:"count"`
	}
	err := c.bulk(ctx, b, true, &out)
	return out.Count, err
}
