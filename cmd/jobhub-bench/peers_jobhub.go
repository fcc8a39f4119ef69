package main

import (
	"context"
	"fmt"

	"jobhub/jobs"
)

// hubBackend is `jobhub serve` with default settings.
type hubBackend struct {
	*process
	data string
}

func openHub(ctx context.Context, p *place) (backend, error) {
	program, err := p.program(ctx)
	if err != nil {
		return nil, err
	}
	data, err := p.sub()
	if err != nil {
		return nil, err
	}
	hub, err := serve(ctx, program, data)
	if err != nil {
		return nil, err
	}
	return &hubBackend{hub, data}, nil
}

func (h *hubBackend) address() string { return h.addr }

func (h *hubBackend) client(context.Context) (func(int) error, func(), error) {
	w, err := dial(h.addr)
	if err != nil {
		return nil, nil, err
	}
	bodies := map[int][]byte{}
	return func(n int) error {
		if n == 1 {
			_, err := w.submit(submission(kind))
			return err
		}
		if bodies[n] == nil {
			bodies[n] = batchOf(n)
		}
		return w.batch(bodies[n], n)
	}, w.close, nil
}

// kept opens the store and reads all of it. A job that ran more than once has too many events.
func (h *hubBackend) kept(ctx context.Context) (finished, others int, err error) {
	if err := h.stop(); err != nil {
		return 0, 0, err
	}
	found, err := audit(ctx, h.data)
	if err != nil {
		return 0, 0, err
	}
	if found.events != 3*len(found.jobs) {
		err = fmt.Errorf("%d jobs have %d events; queued, started and succeeded would be three of each", len(found.jobs), found.events)
	}
	finished = found.states[jobs.Succeeded]
	return finished, len(found.jobs) - finished, err
}
