package client

import (
	"context"
	"net/http"
)

// Bulk is an action on all jobs that a filter selects; an empty filter selects all jobs.
type Bulk struct {
	Action string // cancel, retry, delete or run
	States []string
	Queue  string
	Kind   string
	Tag    string
	Parent string
	Text   string

	IdempotencyKey string // makes it safe to call Client.Bulk again when an error is Unknown
}

// Bulk submits the job that acts on all jobs of b. Its result counts what was done.
func (c *Client) Bulk(ctx context.Context, b Bulk) (j Job, err error) {
	err = c.bulk(ctx, b, false, &j)
	return j, err
}

// CountBulk returns how many jobs a Bulk would act on now.
func (c *Client) CountBulk(ctx context.Context, b Bulk) (int64, error) {
	var out struct {
		Count int64 `json:"count"`
	}
	err := c.bulk(ctx, b, true, &out)
	return out.Count, err
}

func (c *Client) bulk(ctx context.Context, b Bulk, dryRun bool, out any) error {
	filter := ListOptions{States: b.States, Queue: b.Queue, Kind: b.Kind, Tag: b.Tag, Parent: b.Parent, Text: b.Text}
	in := struct {
		Action string            `json:"action"`
		Filter map[string]string `json:"filter"`
		DryRun bool              `json:"dry_run"`
	}{b.Action, filter.filter(), dryRun}
	key := b.IdempotencyKey
	if dryRun {
		key = ""
	}
	return c.exchange(ctx, http.MethodPost, "/v1/jobs:bulk", key, in, out)
}
