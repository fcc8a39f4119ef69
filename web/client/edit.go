package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

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
	return c.ofJob(ctx, http.MethodPatch, id, "", e)
}

// RunNow lets a job that waits for a time join its queue at once.
func (c *Client) RunNow(ctx context.Context, id string) (Job, error) {
	return c.ofJob(ctx, http.MethodPost, id, "/run", nil)
}

// Delete deletes a finished job at once.
func (c *Client) Delete(ctx context.Context, id string) error {
	return c.exchange(ctx, http.MethodPost, "/v1/jobs/"+url.PathEscape(id)+"/delete", "", nil, nil)
}
