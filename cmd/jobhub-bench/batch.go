package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// batchOptions are the options of the measurement of batches.
type batchOptions struct {
	submitOptions
	sizes []int // items of a batch, for the rates
}

func runBatch(ctx context.Context, args []string, o *output) ([]figure, error) {
	b := batchOptions{sizes: []int{100, 1000}}
	fs := b.flags("batch", o)
	b.programFlag(fs)
	fs.IntVar(&b.n, "n", 60, "batches of 1,000 one after another")
	fs.IntVar(&b.warmup, "warmup", 10, "batches of warm-up, which are not measured")
	b.crowdFlags(fs)
	fs.Lookup("conns").DefValue, b.conns = "8", 8
	if err := b.enter(fs, args, o); err != nil {
		return nil, err
	}
	defer b.leave()
	return b.run(ctx, o)
}

func (b *batchOptions) run(ctx context.Context, o *output) ([]figure, error) {
	program, err := b.program(ctx)
	if err != nil {
		return nil, err
	}
	o.say("batch: %d of 1,000 jobs, one after another", b.n)
	figures, err := b.alone(ctx, program)
	for _, size := range b.sizes {
		if err != nil {
			return nil, err
		}
		o.say("batch: %d clients for %s, %d jobs at a time", b.conns, b.length, size)
		var f []figure
		f, err = b.crowd(ctx, program, size, o)
		figures = append(figures, f...)
	}
	return figures, err
}

// batchOf is a batch of n submissions.
func batchOf(n int) []byte {
	item := append(append([]byte(`{"method":"POST","path":"/v1/jobs","body":`), submission(kind)...), '}')
	return append(append([]byte(`{"requests":[`), bytes.Join(repeat(item, n), []byte{','})...), ']', '}')
}

func repeat(item []byte, n int) (all [][]byte) {
	for range n {
		all = append(all, item)
	}
	return all
}

// batch sends a batch of n submissions, all of which must be accepted.
func (w *wire) batch(body []byte, n int) error {
	answer, err := w.call("POST", "/batch", body, http.StatusOK)
	if err != nil {
		return err
	}
	if accepted := bytes.Count(answer, []byte(`"status":202,`)); accepted != n {
		return fmt.Errorf("a batch of %d jobs: %d were accepted: %.300s", n, accepted, answer)
	}
	return nil
}

// alone measures one client with batches of 1,000.
func (b *batchOptions) alone(ctx context.Context, program string) ([]figure, error) {
	const size = 1000
	body := batchOf(size)
	var took sample
	total, commits, err := b.against(ctx, program, func(wires []*wire) (int, error) {
		for i := range b.warmup + b.n {
			start := time.Now()
			if err := wires[0].batch(body, size); err != nil {
				return 0, err
			}
			if i >= b.warmup {
				took = append(took, time.Since(start))
			}
		}
		return (b.warmup + b.n) * size, ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	return []figure{
		took.latency("batch.latency", "A batch of 1,000 jobs, accepted durably", "ms", "p50 ≤ 50", 0.5, 0.9, 0.99),
		single("batch.commits", "The same: jobs in one commit", float64(total)/float64(commits), "", "1,000"),
	}, nil
}

// crowd measures several clients in a closed loop.
func (b *batchOptions) crowd(ctx context.Context, program string, size int, o *output) ([]figure, error) {
	body := batchOf(size)
	var all sample
	_, _, err := b.against(ctx, program, func(wires []*wire) (int, error) {
		begin := time.Now().Add(b.length / 10)
		end := begin.Add(b.length)
		took := make([]sample, len(wires))
		sent := make([]int, len(wires))
		failed := make([]error, len(wires))
		var clients sync.WaitGroup
		for i, w := range wires {
			clients.Go(func() {
				for ctx.Err() == nil {
					start := time.Now()
					if !start.Before(end) {
						return
					}
					if failed[i] = w.batch(body, size); failed[i] != nil {
						return
					}
					sent[i] += size
					if now := time.Now(); !start.Before(begin) && now.Before(end) {
						took[i] = append(took[i], now.Sub(start))
					}
				}
			})
		}
		clients.Wait()
		total := 0
		for i := range wires {
			total += sent[i]
			all = append(all, took[i]...)
		}
		return total, errors.Join(append(failed, ctx.Err())...)
	})
	if err != nil {
		return nil, err
	}
	what := fmt.Sprintf("Durable submits over HTTP in batches of %d, %d connections", size, b.conns)
	key := fmt.Sprintf("batch.crowd.%d", size)
	return []figure{
		single(key+".rate", what, float64(len(all)*size)/b.length.Seconds(), " jobs/s", "≥ 40,000"),
		all.latency(key+".latency", what+": time of one batch", "ms", "", 0.5, 0.9, 0.99),
	}, nil
}

// against runs send against a new hub. It checks that the hub, and later its reopened store,
// hold as many jobs as send reports as accepted.
func (b *batchOptions) against(ctx context.Context, program string, send func([]*wire) (int, error)) (total int, commits int64, err error) {
	data, err := b.sub()
	if err != nil {
		return 0, 0, err
	}
	var p *process
	if b.cpuprofile == "" {
		p, err = serve(ctx, program, data)
	} else {
		p, err = b.standIn(ctx, data)
	}
	if err != nil {
		return 0, 0, err
	}
	defer p.kill()
	wires := make([]*wire, b.conns)
	for i := range wires {
		if wires[i], err = dial(p.addr); err != nil {
			return 0, 0, err
		}
		defer wires[i].close()
	}
	if total, err = send(wires); err != nil {
		return total, 0, err
	}
	if err := wires[0].expectQueued(kind, total); err != nil {
		return total, 0, err
	}
	if err := p.stop(); err != nil {
		return total, 0, err
	}
	if err := expectStored(ctx, data, total); err != nil {
		return total, 0, err
	}
	commits, err = commitsOf(data)
	return total, commits, err
}
