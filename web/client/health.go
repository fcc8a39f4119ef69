package client

import (
	"context"
	"net/http"
)

// Version returns the version of a hub that answers, whether it accepts jobs or not.
func (c *Client) Version(ctx context.Context) (string, error) {
	var out struct {
		Version string `json:"version"`
	}
	err := c.exchange(ctx, http.MethodGet, "/healthz", "", nil, &out)
	return out.Version, err
}

// Ready returns nil if the hub accepts jobs.
func (c *Client) Ready(ctx context.Context) error {
	return c.exchange(ctx, http.MethodGet, "/readyz", "", nil, nil)
}
