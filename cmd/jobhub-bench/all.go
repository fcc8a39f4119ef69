package main

import (
	"context"
	"time"
)

// runAll runs all measurements, one after another.
func runAll(ctx context.Context, args []string, o *output) ([]figure, error) {
	var p place
	fs := p.flags("all", o)
	p.programFlag(fs)
	short := fs.Bool("short", false, "only check that everything works; the figures mean little")
	if err := p.enter(fs, args, o); err != nil {
		return nil, err
	}
	defer p.leave()
	if _, err := p.program(ctx); err != nil {
		return nil, err
	}
	submit := submitOptions{place: p, n: 2000, warmup: 200, inRow: 20, crowdOptions: crowdOptions{conns: 64, length: 5 * time.Second}}
	batch := batchOptions{submitOptions: submitOptions{place: p, n: 60, warmup: 10, crowdOptions: crowdOptions{conns: 8, length: 5 * time.Second}}, sizes: []int{100, 1000}}
	finish := finishOptions{place: p, n: 500, warmup: 50, pause: 5 * time.Millisecond}
	pickup := pickupOptions{place: p, n: 500, warmup: 50}
	fanoutHTTP := fanoutHTTPOptions{place: p, n: 30, warmup: 3, targets: 2, each: 300 * time.Millisecond}
	idle := idleOptions{place: p, length: 10 * time.Second, starts: 10, jobs: 10_000}
	cycle := cycleOptions{place: p, clients: 256, slots: 256, length: 10 * time.Second}
	fanout := fanoutOptions{place: p, conns: 10_000, length: 4 * time.Second, stall: 35 * time.Second, patience: time.Minute}
	if *short {
		submit.n, submit.warmup, submit.length = 50, 10, time.Second
		batch.n, batch.warmup, batch.length = 3, 1, time.Second
		finish.n, finish.warmup = 20, 5
		pickup.n, pickup.warmup = 20, 5
		fanoutHTTP.n, fanoutHTTP.warmup = 3, 1
		idle.length, idle.starts, idle.jobs = time.Second, 2, 500
		cycle.length = time.Second
		fanout.conns, fanout.length, fanout.stall, fanout.patience = 100, 200*time.Millisecond, time.Second, time.Second
	}
	routes := routesOptions{place: p, n: 3000, warmup: 300, conns: 32, length: 2 * time.Second, bytes: 1 << 30}
	if *short {
		routes.n, routes.warmup, routes.length, routes.bytes = 40, 20, 100*time.Millisecond, 8<<20
	}
	pages := pagesOptions{place: p, length: 8 * time.Second, soak: time.Minute, loads: 5, viewers: []int{1, 1000, 5000}}
	if *short {
		pages.length, pages.soak, pages.loads, pages.viewers = time.Second, time.Second, 1, []int{1, 50}
	}
	peers := peersOptions{place: p, length: 10 * time.Second, backlog: 10_000}
	if *short {
		peers.length, peers.backlog = time.Second, 2000
	}
	var figures []figure
	for _, run := range []func(context.Context, *output) ([]figure, error){submit.run, batch.run, finish.run, pickup.run, fanoutHTTP.run, idle.run, cycle.run, fanout.run, routes.run, pages.run, peers.run} {
		part, err := run(ctx, o)
		if err != nil {
			return nil, err
		}
		figures = append(figures, part...)
	}
	return figures, nil
}
