package client

import (
	"context"
	"net/http"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// BatchRequest is one request of a batch: to the hub's API or to one of its routes.
type BatchRequest struct {
	ID        string            `json:"id,omitzero"`
	Method    string            `json:"method"`
	Path      string            `json:"path"` // with its query
	Headers   map[string]string `json:"headers,omitempty"`
	Body      any               `json:"body,omitzero"`        // a string or []byte is sent unchanged, all else as JSON
	DependsOn []string          `json:"depends_on,omitempty"` // IDs of requests that have to be answered 2xx before
}

// BatchResponse is the answer to one request of a batch.
type BatchResponse struct {
	ID      string            `json:"id"`
	Index   int               `json:"index"`  // of the request
	Status  int               `json:"status"` // 424 if a request that it depends on did not succeed
	Headers map[string]string `json:"headers"`
	Body    jsontext.Value    `json:"body"` // JSON unchanged, a text as a string, all else as {"base64":"…"}
}

// Batch sends many requests at once and returns one answer for each, in their order. A
// failed request does not affect the others: check each Status.
//
// A key that is not empty makes it safe to call Batch again when an error is [Unknown]: the
// jobs that the requests submit are submitted once.
func (c *Client) Batch(ctx context.Context, requests []BatchRequest, idempotencyKey string) ([]BatchResponse, error) {
	var out struct {
		Responses []BatchResponse `json:"responses"`
	}
	err := c.exchange(ctx, http.MethodPost, "/v1/batch", idempotencyKey, batch(requests), &out)
	return out.Responses, err
}

// SubmitBatch submits a batch as a job of its own. [BatchResponses] reads the answers so far
// from that job.
func (c *Client) SubmitBatch(ctx context.Context, requests []BatchRequest, idempotencyKey string) (j Job, err error) {
	err = c.exchange(ctx, http.MethodPost, "/v1/batch?async=true", idempotencyKey, batch(requests), &j)
	return j, err
}

// BatchResponses returns the answers so far of a batch, one for each request; nil for a
// request without an answer yet. It returns no elements before the first answer is stored.
func BatchResponses(j Job) ([]*BatchResponse, error) {
	var out struct {
		Responses []*BatchResponse `json:"responses"`
	}
	if len(j.Result) == 0 {
		return nil, nil
	}
	err := json.Unmarshal(j.Result, &out)
	return out.Responses, err
}

// batch is the body of a batch request.
func batch(requests []BatchRequest) any {
	requests = slices.Clone(requests)
	for i := range requests {
		if b, ok := requests[i].Body.([]byte); ok {
			requests[i].Body = map[string]any{"base64": b}
		}
	}
	return map[string]any{"requests": requests}
}
