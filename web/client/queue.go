package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Queue is a queue as the hub describes it.
type Queue struct {
	Name   string           `json:"name"`
	Paused bool             `json:"paused"`
	Pause  Pause            `json:"pause"`
	States map[string]int64 `json:"states"`    // how many jobs are in each
	Oldest *int64           `json:"oldest_ms"` // how long the oldest queued job has waited; nil if there is none
	Rates  struct {         // jobs per second
		In     float64 `json:"in"`
		Out    float64 `json:"out"`
		Failed float64 `json:"failed"`
	} `json:"rates"`
	Limits    QueueLimits `json:"limits"`
	Callbacks []Callback  `json:"callbacks"` // for all its jobs, from the hub's configuration
}

// Pause says when, by whom and why a queue was paused.
type Pause struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// QueueLimits are the limits of a queue. In [Client.SetQueue] nil leaves a limit as it is, and
// 0 or an empty text removes it.
type QueueLimits struct {
	Concurrency  *int    `json:"concurrency"`   // jobs that run at the same time
	Rate         *string `json:"rate"`          // starts, like 10/s, 100/m or 5/30s
	Capacity     *int    `json:"capacity"`      // unfinished jobs that don't run
	PerKey       *int    `json:"per_key"`       // jobs of one fair key that run at the same time
	QueueTimeout *string `json:"queue_timeout"` // like 30s, for jobs that have none of their own
}

// Queues returns all queues.
func (c *Client) Queues(ctx context.Context) (all []Queue, err error) {
	for path := "/v1/queues"; ; {
		var page struct {
			Queues []Queue `json:"queues"`
			Next   string  `json:"next_cursor"`
		}
		if err := c.exchange(ctx, http.MethodGet, path, "", nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Queues...)
		if page.Next == "" {
			return all, nil
		}
		path = "/v1/queues?cursor=" + url.QueryEscape(page.Next)
	}
}

// Queue returns the queue with that name. A queue is created with its first job or limit.
func (c *Client) Queue(ctx context.Context, name string) (Queue, error) {
	return c.ofQueue(ctx, http.MethodGet, name, "", nil)
}

// PauseQueue stops a queue from starting jobs.
func (c *Client) PauseQueue(ctx context.Context, name, reason string) (Queue, error) {
	in := struct {
		Reason string `json:"reason"`
	}{reason}
	return c.ofQueue(ctx, http.MethodPost, name, "/pause", in)
}

// ResumeQueue resumes a paused queue.
func (c *Client) ResumeQueue(ctx context.Context, name string) (Queue, error) {
	return c.ofQueue(ctx, http.MethodPost, name, "/resume", struct{}{})
}

// SetQueue changes limits of a queue, and creates it if it does not exist.
func (c *Client) SetQueue(ctx context.Context, name string, l QueueLimits) (Queue, error) {
	in := map[string]any{}
	set := func(name string, given, lifted bool, value any) {
		if given {
			if in[name] = value; lifted {
				in[name] = nil
			}
		}
	}
	for name, n := range map[string]*int{"concurrency": l.Concurrency, "capacity": l.Capacity, "per_key": l.PerKey} {
		set(name, n != nil, n != nil && *n == 0, n)
	}
	for name, text := range map[string]*string{"rate": l.Rate, "queue_timeout": l.QueueTimeout} {
		set(name, text != nil, text != nil && *text == "", text)
	}
	return c.ofQueue(ctx, http.MethodPatch, name, "", in)
}

// ofQueue sends a request about a queue, which is answered with the queue.
func (c *Client) ofQueue(ctx context.Context, method, name, verb string, in any) (q Queue, err error) {
	err = c.exchange(ctx, method, "/v1/queues/"+url.PathEscape(name)+verb, "", in, &q)
	return q, err
}
