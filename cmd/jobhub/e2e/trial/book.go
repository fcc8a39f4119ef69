package trial

import (
	"context"
	"net/http"
	"sync"

	"github.com/go-json-experiment/json"

	"jobhub/web/client"
)

// Book is what a test submitted: bodies by idempotency key, and the ids in the 202s.
type Book struct {
	mu     sync.Mutex // protects the fields below
	Bodies map[string]string
	IDs    map[string]string
}

// Submit enters a submission and its 202. It reports false if there was none.
func (b *Book) Submit(ctx context.Context, h *Hub, key, body string) bool {
	b.mu.Lock()
	b.Bodies[key] = body
	b.mu.Unlock()
	a, err := h.Send(ctx, "POST", "/v1/jobs", body, IsJSON, "Idempotency-Key: "+key)
	if err != nil || a.Status != http.StatusAccepted {
		return false
	}
	var j client.Job
	if json.Unmarshal(a.Body, &j) != nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.IDs[key] = j.ID
	return true
}

// Unknown are the keys of submissions without a 202.
func (b *Book) Unknown() (keys []string) {
	for key := range b.Bodies {
		if b.IDs[key] == "" {
			keys = append(keys, key)
		}
	}
	return keys
}
