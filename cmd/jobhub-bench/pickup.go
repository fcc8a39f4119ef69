package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

type pickupOptions struct {
	place
	n, warmup int
}

func runPickup(ctx context.Context, args []string, o *output) ([]figure, error) {
	var p pickupOptions
	fs := p.flags("pickup", o)
	p.programFlag(fs)
	fs.IntVar(&p.n, "n", 500, "jobs")
	fs.IntVar(&p.warmup, "warmup", 50, "jobs before that are not measured")
	if err := p.enter(fs, args, o); err != nil {
		return nil, err
	}
	defer p.leave()
	return p.run(ctx, o)
}

// run measures how long a parked worker waits for a job: from the submission being sent
// to the answer of its long poll. Each job is completed before the next one.
func (p *pickupOptions) run(ctx context.Context, o *output) ([]figure, error) {
	program, err := p.program(ctx)
	if err != nil {
		return nil, err
	}
	o.say("pickup: %d jobs, one at a time", p.n)
	data, err := p.sub()
	if err != nil {
		return nil, err
	}
	hub, err := serve(ctx, program, data)
	if err != nil {
		return nil, err
	}
	defer hub.kill()
	worker, err := dial(hub.addr)
	if err != nil {
		return nil, err
	}
	defer worker.close()
	client, err := dial(hub.addr)
	if err != nil {
		return nil, err
	}
	defer client.close()
	var registered struct {
		ID string `json:"worker_id"`
	}
	answer, err := worker.call("POST", "/v1/workers", []byte(`{"name":"bench","kinds":["`+kind+`"]}`), http.StatusOK)
	if err == nil {
		err = json.Unmarshal(answer, &registered)
	}
	if err != nil {
		return nil, err
	}
	type lease struct {
		at   time.Time
		err  error
		Jobs []struct{ Lease, ID string }
	}
	var picked sample
	for n := range p.warmup + p.n {
		leased := make(chan lease, 1)
		go func() {
			var l lease
			answer, err := worker.call("POST", "/v1/workers/"+registered.ID+"/lease", []byte(`{"max":1,"wait":"25s"}`), http.StatusOK)
			l.at = time.Now()
			if l.err = err; err == nil {
				l.err = json.Unmarshal(answer, &l)
			}
			leased <- l
		}()
		time.Sleep(5 * time.Millisecond) // so that the poll waits already
		sent := time.Now()
		id, err := client.submit(submission("pickup"))
		if err != nil {
			return nil, err
		}
		l := <-leased
		if l.err != nil || len(l.Jobs) != 1 || l.Jobs[0].ID != id {
			return nil, fmt.Errorf("job %s was submitted, and the poll brought %v: %w", id, l.Jobs, l.err)
		}
		if _, err := worker.call("POST", "/v1/leases/"+l.Jobs[0].Lease+"/complete", []byte(`{"result":1}`), http.StatusOK); err != nil {
			return nil, err
		}
		if n >= p.warmup {
			picked = append(picked, l.at.Sub(sent))
		}
	}
	states, err := client.queue("pickup")
	if err != nil {
		return nil, err
	}
	if states["succeeded"] != p.warmup+p.n {
		return nil, fmt.Errorf("%d jobs were completed, but the hub counts %v", p.warmup+p.n, states)
	}
	return []figure{picked.latency("pickup", "Submit sent → a worker's long poll brings the job, hub idle", "ms", "p99 < 10", 0.5, 0.9, 0.99)}, nil
}
