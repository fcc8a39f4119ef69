package client

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Queue is a queue as the hub describes it.
type Queue struct {
	Name   string           `json:"name"`
	Paused bool             `json:"paused"`
	Pause  Pause            `json:"pause"`
	States map[string]int64 `json:"states"`    // how many jobs are in each
	Oldest *int64           `json:"oldest_ms"` // how long the first in line has waited; nil if nobody waits
	Rates  struct {         // jobs per second
		In     float64 `json:"in"`
		Out    float64 `json:"out"`
		Failed float64 `json:"failed"`
	} `json:"rates"`
	Limits QueueLimits `json:"limits"`
}

// Pause says since when a queue is paused, by whom and why.
type Pause struct {
	At     time.Time `json:"at"`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// QueueLimits are the limits of a queue. In [Client.SetQueue] nil leaves one as it is,
// and 0 or an empty text lifts it.
type QueueLimits struct {
	Concurrency  *int    `json:"concurrency"` // jobs that run at the same time
	Rate         *string `json:"rate"`        // starts, like 10/s, 100/m or 5/30s
	Capacity     *int    `json:"capacity"`    // unfinished jobs that don't run
	PerKey       *int    `json:"per_key"`     // jobs of one fair key that run at the same time
	QueueTimeout *string `json:"queue_timeout"`
}

// Queues returns all queues.
func (c *Client) Queues(ctx context.Context) (all []Queue, err error) {
	for path := "/v1/queues"; ; {
		var page struct {
			Queues []Queue `json:"queues"`
			Next   string  `json:"next_cursor"`
		}
		if err := c.call(ctx, http.MethodGet, path, nil, nil, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Queues...)
		if page.Next == "" {
			return all, nil
		}
		path = "/v1/queues?cursor=" + url.QueryEscape(page.Next)
	}
}

// PauseQueue stops a queue from starting jobs.
func (c *Client) PauseQueue(ctx context.Context, name, reason string) (Queue, error) {
	in := struct {
		Reason string `json:"reason"`
	}{reason}
	return c.changeQueue(ctx, http.MethodPost, name, "/pause", in)
}

// ResumeQueue lets a paused queue go on.
func (c *Client) ResumeQueue(ctx context.Context, name string) (Queue, error) {
	return c.changeQueue(ctx, http.MethodPost, name, "/resume", struct{}{})
}

// SetQueue changes limits of a queue, which comes into being if need be.
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
	return c.changeQueue(ctx, http.MethodPatch, name, "", in)
}

func (c *Client) changeQueue(ctx context.Context, method, name, verb string, in any) (q Queue, err error) {
	body, err := json.Marshal(in, json.Deterministic(true))
	if err != nil {
		return Queue{}, err
	}
	err = c.call(ctx, method, "/v1/queues/"+url.PathEscape(name)+verb, nil, body, &q)
	return q, err
}

// Retry submits a job like one that has ended, with the same input or, if that is not
// nil, another. If the job has such a retry already, it returns that.
func (c *Client) Retry(ctx context.Context, id string, input jsontext.Value) (Job, error) {
	return c.retry(ctx, id, struct {
		Input jsontext.Value `json:"input,omitzero"`
	}{input})
}

// RetryTargets submits a fan-out again that has ended, but calls these targets only; the
// others keep what came of them.
func (c *Client) RetryTargets(ctx context.Context, id string, targets []string) (Job, error) {
	return c.retry(ctx, id, struct {
		Targets []string `json:"targets"`
	}{targets})
}

func (c *Client) retry(ctx context.Context, id string, in any) (Job, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return Job{}, err
	}
	var j Job
	err = c.call(ctx, http.MethodPost, "/v1/jobs/"+url.PathEscape(id)+"/retry", nil, body, &j)
	return j, err
}
