package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/sqlite"
)

type scaleOptions struct {
	place
	finished int
	pending  int
	step     time.Duration
	picture  string
}

func runScale(ctx context.Context, args []string, o *output) ([]figure, error) {
	var s scaleOptions
	fs := s.flags("scale", o)
	fs.IntVar(&s.finished, "finished", 1_000_000, "jobs that have ended")
	fs.IntVar(&s.pending, "pending", 100_000, "jobs that wait")
	fs.DurationVar(&s.step, "step", 5*time.Second, "how `long` each measurement of the rate takes")
	fs.StringVar(&s.picture, "picture", "", "draw the cost of a job against the jobs in the store to `file`, as SVG")
	if err := s.enter(fs, args, o); err != nil {
		return nil, err
	}
	defer s.leave()
	return s.run(ctx, o)
}

// point is the cost of one full cycle with so many jobs in the store.
type point struct {
	stored int
	micros float64
}

// run fills a store with full cycles, measures their rate on the way, and then what an
// operator waits for: the start, and the newest failures of a queue.
func (s *scaleOptions) run(ctx context.Context, o *output) (_ []figure, err error) {
	o.say("scale: %d finished jobs, %d pending ones", s.finished, s.pending)
	data, err := s.sub()
	if err != nil {
		return nil, err
	}
	store, err := sqlite.Open(ctx, data, sqlite.Options{})
	if err != nil {
		return nil, err
	}
	curve, stored, err := s.fill(ctx, store, o)
	if err = errors.Join(err, store.Close()); err != nil {
		return nil, err
	}
	size, err := sizeOf(data)
	if err != nil {
		return nil, err
	}

	begin := time.Now()
	if store, err = sqlite.Open(ctx, data, sqlite.Options{}); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	h, err := hub.New(ctx, hub.Options{Log: store, Pace: -1})
	if err != nil {
		return nil, err
	}
	engine, err := engine.Open(ctx, engine.Options{Store: store})
	ready := time.Since(begin)
	if err != nil {
		h.Close()
		return nil, err
	}
	defer h.Close()
	defer engine.Close(ctx)
	queues, _, err := store.Queues(ctx, jobs.DefaultTenant)
	if err != nil {
		return nil, err
	}
	var there int64
	for _, q := range queues {
		for _, n := range q.Counts {
			there += n
		}
	}
	if there != int64(stored) {
		return nil, fmt.Errorf("%d jobs were accepted, but the reopened store counts %d", stored, there)
	}
	var lists sample
	for range 100 {
		begin := time.Now()
		page, err := store.List(ctx, jobs.Filter{Tenant: jobs.DefaultTenant, Queue: failing, States: []jobs.State{jobs.Failed}, Limit: 50})
		if err != nil || len(page.Jobs) != 50 {
			return nil, fmt.Errorf("the last 50 failed jobs: %d, %w", len(page.Jobs), err)
		}
		lists = append(lists, time.Since(begin))
	}
	if s.picture != "" {
		if err := os.WriteFile(s.picture, []byte(draw(curve)), 0o644); err != nil {
			return nil, err
		}
	}
	first, last := curve[0], curve[len(curve)-1]
	what := fmt.Sprintf("With %d finished and %d pending jobs", s.finished, s.pending)
	return []figure{
		single("scale.first", fmt.Sprintf("Full durable cycle with %d jobs in the store", first.stored), 1e6/first.micros, "/s", ""),
		single("scale.last", fmt.Sprintf("Full durable cycle with %d jobs in the store", last.stored), 1e6/last.micros, "/s", ""),
		single("scale.ratio", what+": rate against the empty store's", 100*first.micros/last.micros, "%", "≥ 80"),
		single("scale.ready", what+": open store, hub and engine", ready.Seconds(), "s", "< 2"),
		lists.latency("scale.failed", what+": the last 50 failed jobs of a queue", "ms", "< 5", 0.5, 0.99),
		single("scale.disk", what+": bytes on disk for each job", float64(size)/float64(stored), "", "≤ 1,000"),
	}, nil
}

const failing = "failing" // a kind whose jobs fail, and their queue

func (s *scaleOptions) fill(ctx context.Context, store *sqlite.Store, o *output) (curve []point, stored int, err error) {
	counted := &countingStore{Store: store}
	h, err := hub.New(ctx, hub.Options{Log: counted, Pace: -1})
	if err != nil {
		return nil, 0, err
	}
	defer h.Close()
	f := follow(h, store.Head)
	defer f.close()
	engine, err := engine.Open(ctx, engine.Options{Store: counted, Slots: 256, Handlers: map[string]jobs.Handler{kind: {Run: f.handle},
		failing: {Run: func(context.Context, jobs.Run) (jobs.Result, error) { return jobs.Result{}, errors.New("no") }}}})
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, engine.Close(context.WithoutCancel(ctx)), f.err) }()
	cycle := cycleOptions{clients: 256, length: s.step}
	for stored < s.finished {
		m, err := cycle.drive(ctx, engine, f, counted)
		if err != nil {
			return nil, 0, err
		}
		stored += m.total
		curve = append(curve, point{stored - m.total/2, s.step.Seconds() * 1e6 / float64(len(m.cycles))})
		if len(curve)%5 == 0 {
			o.say("scale: %d jobs, %.0f/s", stored, 1e6/curve[len(curve)-1].micros)
		}
		if len(curve) == 1 { // the oldest jobs, which are the hardest to find
			if err := each(ctx, 1000, func() error {
				_, err := engine.Submit(ctx, jobs.Spec{Kind: failing, Queue: failing, MaxAttempts: 1})
				return err
			}); err != nil {
				return nil, 0, err
			}
			stored += 1000
		}
	}
	err = each(ctx, s.pending, func() error {
		_, err := engine.Submit(ctx, jobs.Spec{Kind: "pending", Queue: "pending", Input: jobs.Value(input)})
		return err
	})
	return curve, stored + s.pending, err
}

// each calls do n times, 256 at the same time.
func each(ctx context.Context, n int, do func() error) error {
	todo := make(chan struct{})
	var wg sync.WaitGroup
	errs := make([]error, 256)
	for i := range errs {
		wg.Go(func() {
			for range todo {
				if err := do(); err != nil {
					errs[i] = err
				}
			}
		})
	}
	for range n {
		todo <- struct{}{}
	}
	close(todo)
	wg.Wait()
	return errors.Join(append(errs, ctx.Err())...)
}

// draw draws the curve as an SVG of 720 by 300.
func draw(curve []point) string {
	const w, h, left, bottom = 720, 300, 56, 36
	most, far := 0.0, float64(curve[len(curve)-1].stored)
	for _, p := range curve {
		most = max(most, p.micros)
	}
	most *= 1.2
	var path strings.Builder
	for i, p := range curve {
		fmt.Fprintf(&path, "%c%.1f %.1f", "ML"[min(i, 1)], left+float64(p.stored)/far*(w-left-16), h-bottom-p.micros/most*(h-bottom-16))
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" fill="#667">
<rect width="100%%" height="100%%" fill="#fff"/><path d="M%d 16V%dH%d" fill="none" stroke="#bbc"/><path d="%s" fill="none" stroke="#0a7" stroke-width="2"/>
<text x="4" y="24">%.0f µs</text><text x="4" y="%d">0</text><text x="%d" y="%d">0</text><text x="%d" y="%d" text-anchor="end">%.0f jobs in the store</text>
<text x="%d" y="24">cost of one full durable cycle</text></svg>
`, w, h, left, h-bottom, w-16, path.String(), most, h-bottom, left, h-12, w-16, h-12, far, left+12)
}
