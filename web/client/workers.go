package client

import (
	"context"
	"net/http"
	"net/url"
)

// WorkerInfo is a worker as the hub sees it. Who wants to be one uses [Worker].
type WorkerInfo struct {
	ID        string   `json:"worker_id"`
	Name      string   `json:"name"`
	Kinds     []string `json:"kinds"`
	Queues    []string `json:"queues"` // all if there are none
	Slots     int      `json:"slots"`
	Running   []string `json:"running"`   // ids of jobs
	Directive string   `json:"directive"` // what it was told: none, quiet or terminate
	SeenMS    int64    `json:"seen_ms"`   // how long ago it called last
}

// Workers returns all workers.
func (c *Client) Workers(ctx context.Context) ([]WorkerInfo, error) {
	var out struct {
		Workers []WorkerInfo `json:"workers"`
	}
	err := c.exchange(ctx, http.MethodGet, "/v1/workers", "", nil, &out)
	return out.Workers, err
}

// QuietWorker tells a worker to take no further jobs.
func (c *Client) QuietWorker(ctx context.Context, id string) error {
	return c.exchange(ctx, http.MethodPost, "/v1/workers/"+url.PathEscape(id)+"/quiet", "", nil, nil)
}

// TerminateWorker tells a worker to end: it takes no further jobs, and gives those back
// that it can't finish in time.
func (c *Client) TerminateWorker(ctx context.Context, id string) error {
	return c.exchange(ctx, http.MethodPost, "/v1/workers/"+url.PathEscape(id)+"/terminate", "", nil, nil)
}
