package demo

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"jobhub/web/client"
)

// The shares of all submissions add up to one: those of actors, and these.
const (
	routesShare  = 0.06
	batchesShare = 0.015
)

// actor is a client of the hub with its habits.
type actor struct {
	queue     string
	share     float64 // of all submissions
	delays    float64 // share of jobs with a delay
	cancels   float64 // share of jobs that it cancels later
	callbacks float64 // share of jobs with a callback
	work      func(api string, rng *rand.Rand, n uint64) (kind string, input any)
	tags      []string // one of these, besides that of the demo
}

var actors = []actor{
	{queue: "orders", share: 0.46, delays: 0.04, cancels: 0.02, callbacks: 0.06, tags: []string{"web", "app", "phone"}, work: func(api string, rng *rand.Rand, n uint64) (string, any) {
		return "http", callInput{"POST", api + "/orders", order(rng, n)}
	}},
	{queue: "thumbnails", share: 0.285, tags: []string{"avatar", "product"}, work: func(api string, rng *rand.Rand, n uint64) (string, any) {
		return "http", callInput{"POST", api + "/thumbnails", thumbnailRequest{fmt.Sprintf("image-%d.jpg", n), 80 << rng.IntN(4)}}
	}},
	{queue: "reports", share: 0.07, delays: 0.1, cancels: 0.15, callbacks: 0.4, tags: []string{"sales", "stock"}, work: func(api string, rng *rand.Rand, n uint64) (string, any) {
		return "http", callInput{"POST", api + "/reports", reportRequest{fmt.Sprintf("Report %d", n), 1 + rng.IntN(mostRows)}}
	}},
	{queue: "stories", share: 0.06, cancels: 0.1, tags: []string{"fable"}, work: func(api string, rng *rand.Rand, n uint64) (string, any) {
		return "http", callInput{Method: "GET", URL: fmt.Sprintf("%s/story?words=%d", api, 20+rng.IntN(100))}
	}},
	{queue: "offers", share: 0.05, cancels: 0.04, callbacks: 0.2, tags: []string{"purchase"}, work: offers},
}

func order(rng *rand.Rand, n uint64) orderRequest {
	return orderRequest{n, fmt.Sprintf("customer-%d", rng.IntN(200)), 1 + rng.IntN(9)}
}

// callInput is the input of a job of kind http.
type callInput struct {
	Method string `json:"method"`
	URL    string `json:"url"`
	Body   any    `json:"body,omitzero"`
}

// act plays one actor until ctx is done.
func (d *demo) act(ctx context.Context, a actor, clients *sync.WaitGroup) {
	rng := stream(d.seed, a.queue)
	for n := uint64(1); ; n++ {
		// All random numbers are drawn first, so that a seed gives the same jobs whatever the hub answers.
		kind, input := a.work(d.api, rng, n)
		s := client.Submission{
			Kind:  kind,
			Queue: a.queue,
			Input: input,
			Tags:  []string{d.ledger.tag, a.tags[rng.IntN(len(a.tags))]},
			Retry: client.Retry{Initial: 500 * time.Millisecond},
		}
		delayed, cancelled, later := rng.Float64() < a.delays, rng.Float64() < a.cancels, time.Duration(rng.Float64()*float64(4*time.Second))
		if delayed {
			s.Delay = 2*time.Second + 3*later
		}
		if rng.Float64() < a.callbacks {
			s.Callbacks = []client.Callback{{URL: d.hooks[rng.IntN(len(d.hooks))], Secret: demoSecret}}
		}
		if !d.pause(ctx, rng, a.share) {
			return
		}
		id, ok := d.submit(ctx, s, fmt.Sprintf("%s-%d", a.queue, n))
		if ok && cancelled {
			clients.Go(func() {
				if !sleep(ctx, later) {
					return
				}
				if _, err := d.client.Cancel(context.WithoutCancel(ctx), id); err != nil {
					slog.Warn("a job could not be cancelled", "job", id, "error", err)
				}
			})
		}
	}
}
