package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/web/client"
)

// untaggedQueues are the queues of jobs that can't have the demo's tag: requests through a
// route, and batches.
var untaggedQueues = []string{"checkout", "quotes", "batch"}

// config is the configuration of the demo's hub: routes in front of the sample API.
func config(api string) []byte {
	return fmt.Appendf(nil, `routes:
  - path: /shop/
    upstream: %[1]s
    strip: /shop
    queue: checkout
    queue_timeout: 30s
    timeout: 30s
    retry: {max_attempts: 5, initial: 500ms}
  - path: /quotes/
    strip: /quotes
    queue: quotes
    policy: settled
    retry: {max_attempts: 3, initial: 500ms}
    targets:
      - {name: north, upstream: %[1]s/suppliers/north/offers}
      - {name: south, upstream: %[1]s/suppliers/south/offers}
      - {name: east, upstream: %[1]s/suppliers/east/offers}
`, api)
}

// actRoutes sends asynchronous requests through the routes, until ctx is done.
func (d *demo) actRoutes(ctx context.Context) {
	rng := stream(d.seed, "routes")
	for n := uint64(1); ; n++ {
		// The numbers of these orders differ from those of the queue orders.
		queue, method, path, body := "checkout", "POST", "/shop/orders?async=true", any(order(rng, 1_000_000+n))
		if article := 1 + rng.IntN(999); rng.IntN(4) == 0 {
			queue, method, path, body = "quotes", "GET", fmt.Sprintf("/quotes/%d?async=true", article), nil
		}
		if !d.pause(ctx, rng, routesShare) {
			return
		}
		d.untilKnown(ctx, queue, func(ctx context.Context) (string, error) {
			return d.send(ctx, method, path, fmt.Sprintf("%s-%d", queue, n), body)
		})
	}
}

// browse calls the sample API through the route, one request after the other, and waits for
// the answers. These are not jobs, so they don't count. There are about half as many.
func (d *demo) browse(ctx context.Context) {
	rng := stream(d.seed, "browse")
	for {
		path := fmt.Sprintf("/shop/stock/%d", rng.IntN(100))
		if words := 10 + rng.IntN(30); rng.IntN(10) == 0 {
			path = fmt.Sprintf("/shop/story?words=%d", words)
		}
		if !d.pause(ctx, rng, 0.5) {
			return
		}
		asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		res, err := d.request(asking, "GET", path, "", nil)
		if err == nil {
			_, err = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		cancel()
		if err != nil {
			slog.Warn("a request through a route had no answer", "path", path, "error", err)
		}
	}
}

// send sends a request through a route, and returns the id of the job in a 2xx answer.
func (d *demo) send(ctx context.Context, method, path, key string, body any) (id string, err error) {
	res, err := d.request(ctx, method, path, key, body)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return "", err
	}
	if res.StatusCode/100 != 2 {
		return "", &client.Problem{Title: "The hub answered " + res.Status, Detail: string(text), Status: res.StatusCode}
	}
	var doc struct {
		ID string `json:"id"`
	}
	err = json.Unmarshal(text, &doc)
	return doc.ID, err
}

func (d *demo) request(ctx context.Context, method, path, key string, body any) (*http.Response, error) {
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, d.client.Base+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	return http.DefaultClient.Do(req)
}
