package client

import (
	"context"
	"net/http"
	"time"
)

// Grant says what a token is valid for: at least one job, queue or tag.
type Grant struct {
	Jobs    []string      `json:"jobs,omitempty"` // ids
	Queues  []string      `json:"queues,omitempty"`
	Tags    []string      `json:"tags,omitempty"`
	Actions []string      `json:"actions,omitempty"` // watch, cancel; watch if empty
	TTL     time.Duration `json:"ttl,omitzero"`      // 15 minutes if 0, at most 24 hours
}

// Token is a signed token, for a browser. It can be used like a key, as Client.Token.
type Token struct {
	Token     string    `json:"token"`
	ExpiresAt time.Time `json:"expires_at"`
}

// CreateToken creates a token that is valid only for what g says.
func (c *Client) CreateToken(ctx context.Context, g Grant) (t Token, err error) {
	err = c.exchange(ctx, http.MethodPost, "/v1/tokens", "", g, &t)
	return t, err
}
