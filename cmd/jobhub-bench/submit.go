package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Jobs of this kind have no worker and stay queued, so that only the submission is measured.
const kind = "bench"

// input is the input of each job, about as large as a small order.
const input = `{"customer":"customer-4711","item":"a small thing","count":3,"address":"1 Long Street, Smalltown"}`

func submission(queue string) []byte {
	return []byte(`{"kind":"` + kind + `","queue":"` + queue + `","input":` + input + `}`)
}

type submitOptions struct {
	place
	n, warmup int // submits by one client
	inRow     int // submissions in a row of each rung
	crowdOptions
}

func runSubmit(ctx context.Context, args []string, o *output) ([]figure, error) {
	var s submitOptions
	fs := s.flags("submit", o)
	s.programFlag(fs)
	fs.IntVar(&s.n, "n", 2000, "submits by one client")
	fs.IntVar(&s.warmup, "warmup", 200, "submissions of warm-up, which are not measured")
	fs.IntVar(&s.inRow, "in-row", 20, "submits in a row before the next way to submit has its turn")
	s.crowdFlags(fs)
	if err := s.enter(fs, args, o); err != nil {
		return nil, err
	}
	defer s.leave()
	return s.run(ctx, o)
}

func (s *submitOptions) run(ctx context.Context, o *output) ([]figure, error) {
	program, err := s.program(ctx)
	if err != nil {
		return nil, err
	}
	o.say("submit: %d by one client, each beside one append to a file", s.n)
	figures, err := s.alone(ctx, program)
	if err != nil {
		return nil, err
	}
	o.say("submit: %d clients for %s", s.conns, s.length)
	crowd, err := s.crowd(ctx, program, o)
	return append(figures, crowd...), err
}

// rung is one way to make something durable. The first two are references; each of the others
// includes all that the one before it does.
type rung struct {
	key, what string
	do        func() error
	done      int    // number of calls
	took      sample // calls in a row, as by a busy client
	cold      sample // calls after other work, when the hub sleeps
}

// climb lets the rungs take turns, with inRow calls in each turn, so that noise of the machine
// and the disk affects all of them equally.
func climb(rungs []*rung, turns, inRow int, record func(*rung, time.Duration)) error {
	for turn := range turns {
		for k := range rungs {
			r := rungs[(turn+k)%len(rungs)]
			for range inRow {
				start := time.Now()
				if err := r.do(); err != nil {
					return fmt.Errorf("%s: %w", r.what, err)
				}
				took := time.Since(start)
				r.done++
				record(r, took)
			}
		}
	}
	return nil
}

// alone measures one client.
func (s *submitOptions) alone(ctx context.Context, program string) (_ []figure, err error) {
	reference, err := newDisk(s.folder)
	if err != nil {
		return nil, err
	}
	defer reference.close()
	ring, err := newRing(s.folder)
	if err != nil {
		return nil, err
	}
	defer ring.close()

	bare, err := newBare(ctx, &s.place)
	if err != nil {
		return nil, err
	}
	defer bare.close()

	inner, err := newInner(ctx, &s.place)
	if err != nil {
		return nil, err
	}
	defer inner.close()

	data, err := s.sub()
	if err != nil {
		return nil, err
	}
	p, err := serve(ctx, program, data)
	if err != nil {
		return nil, err
	}
	defer p.kill()
	client, err := dial(p.addr)
	if err != nil {
		return nil, err
	}
	defer client.close()

	request := submission(kind)
	rungs := []*rung{
		{key: "disk", what: "4 KiB append + fdatasync to a growing file", do: reference.write},
		{key: "exchange", what: "`GET /healthz`, which stores nothing", do: func() error { _, err := client.call("GET", "/healthz", nil, http.StatusOK); return err }},
		{key: "ring", what: "4 KiB written over + fdatasync, the file has its size", do: ring.write},
		{key: "store", what: "one insert in one `Store.Commit`, in process", do: func() error { return bare.insert(ctx) }},
		{key: "engine", what: "`Engine.Submit`, in process, a hub following", do: func() error { return inner.submit(ctx) }},
		{key: "http", what: "`POST /v1/jobs`, one client", do: func() error { _, err := client.submit(request); return err }},
	}
	row := max(s.inRow, 1)
	err = errors.Join(
		climb(rungs, s.warmup/row, row, func(*rung, time.Duration) {}),
		climb(rungs, (s.n+row-1)/row, row, func(r *rung, t time.Duration) { r.took = append(r.took, t) }),
		climb(rungs, (s.n+3)/4, 1, func(r *rung, t time.Duration) { r.cold = append(r.cold, t) }),
	)
	if err != nil {
		return nil, err
	}

	total := rungs[0].done
	if err := client.expectQueued(kind, total); err != nil {
		return nil, err
	}
	if err := p.stop(); err != nil {
		return nil, err
	}
	if err := errors.Join(bare.close(), inner.close()); err != nil {
		return nil, err
	}
	for _, folder := range []string{bare.folder, inner.folder, data} {
		if err := expectStored(ctx, folder, total); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(reference.check(), ring.check()); err != nil {
		return nil, err
	}

	var figures []figure
	for _, r := range rungs {
		figures = append(figures, r.took.latency("submit."+r.key, "Durable submit: "+r.what, "µs", "", 0.5, 0.9, 0.99))
	}
	rest := figure{Key: "submit.rest", What: "Durable submit: where the p50 of the `POST` goes", Unit: "µs"}
	below := 0.0
	for i, name := range []string{"a write over + fdatasync", "SQLite", "engine"} {
		p50 := rungs[2+i].took.micros(0.5)
		rest.Values = append(rest.Values, value{name, p50 - below})
		below = p50
	}
	disk, exchange, post := rungs[0], rungs[1], rungs[len(rungs)-1]
	spent := exchange.took.micros(0.5)
	rest.Values = append(rest.Values, value{"an HTTP exchange with another process", spent}, value{"the rest", post.took.micros(0.5) - below - spent})
	return append(figures, rest,
		single("submit.ratio", "Durable `POST`s one after another: p50, in appends + fdatasyncs", post.took.micros(0.5)/disk.took.micros(0.5), "×", "≤ 2"),
		post.cold.latency("submit.cold", "Durable `POST`, each after other work, when the hub sleeps", "µs", "", 0.5, 0.9, 0.99),
		single("submit.cold.ratio", "Durable `POST`, each after other work: p50, in appends + fdatasyncs of that kind", post.cold.micros(0.5)/disk.cold.micros(0.5), "×", "≤ 2"),
	), nil
}
