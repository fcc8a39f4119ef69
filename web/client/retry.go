package client

import (
	"context"
	"net/http"
	"net/url"
)

// RetryOptions say how a job is to be repeated. The zero value is: as it was, unless it has
// a retry already.
type RetryOptions struct {
	Input   any      `json:"input,omitzero"`    // another input: whatever marshals to JSON
	Targets []string `json:"targets,omitempty"` // of a fan-out: only these; the others keep what came of them
	Again   bool     `json:"again,omitzero"`    // make another retry although there is one

	IdempotencyKey string `json:"-"` // makes it safe to call Retry again when an error is Unknown
}

// Retry submits a job like one that has ended, and returns the new one. If the job has a
// retry already, it returns that, with Existing.
func (c *Client) Retry(ctx context.Context, id string, o RetryOptions) (j Job, err error) {
	err = c.exchange(ctx, http.MethodPost, "/v1/jobs/"+url.PathEscape(id)+"/retry", o.IdempotencyKey, o, &j)
	return j, err
}
