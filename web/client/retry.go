package client

import (
	"context"
	"net/http"
	"net/url"
)

// RetryOptions say how a job is repeated. The zero value repeats it unchanged, unless it has a
// retry already.
type RetryOptions struct {
	Input   any      `json:"input,omitzero"`    // another input: any value that marshals to JSON
	Targets []string `json:"targets,omitempty"` // for a fan-out: only these; the others keep their results
	Again   bool     `json:"again,omitzero"`    // submit another retry although there is one

	IdempotencyKey string `json:"-"` // makes it safe to call Retry again when an error is Unknown
}

// Retry submits a new job like one that has ended, and returns the new one. If the job has a
// retry already, it returns that retry, with Existing set.
func (c *Client) Retry(ctx context.Context, id string, o RetryOptions) (j Job, err error) {
	err = c.exchange(ctx, http.MethodPost, "/v1/jobs/"+url.PathEscape(id)+"/retry", o.IdempotencyKey, o, &j)
	return j, err
}
