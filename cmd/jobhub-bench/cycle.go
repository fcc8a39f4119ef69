package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"sync"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/jobs/engine"
	"jobhub/jobs/sqlite"
)

type cycleOptions struct {
	place
	clients    int
	slots      int
	length     time.Duration
	cpuprofile string
}

func runCycle(ctx context.Context, args []string, o *output) ([]figure, error) {
	var c cycleOptions
	fs := c.flags("cycle", o)
	fs.IntVar(&c.clients, "clients", 256, "jobs at once: each of as many clients submits its next job at the end of the one before")
	fs.IntVar(&c.slots, "slots", 256, "attempts at once; 0 is the engine's default")
	fs.DurationVar(&c.length, "for", 10*time.Second, "how `long`")
	fs.StringVar(&c.cpuprofile, "cpuprofile", "", "write a CPU profile to `file`")
	if err := c.enter(fs, args, o); err != nil {
		return nil, err
	}
	defer c.leave()
	return c.run(ctx, o)
}

// run measures full durable cycles in process:
//
//	client → Engine.Submit → (claim) → handler: progress, progress, result → the event of its end at the client
//
// The second progress is reported when the first has come back from the hub: reported
// at once, it would replace the first before that was stored.
func (c *cycleOptions) run(ctx context.Context, o *output) (_ []figure, err error) {
	o.say("cycle: %d jobs at once for %s", c.clients, c.length)
	data, err := c.sub()
	if err != nil {
		return nil, err
	}
	store, err := sqlite.Open(ctx, data, sqlite.Options{}) // as serve does
	if err != nil {
		return nil, err
	}
	counted := &countingStore{Store: store}
	h, err := hub.New(ctx, hub.Options{Log: counted, Pace: -1})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	f := follow(h, store.Head)
	engine, err := engine.Open(ctx, engine.Options{Store: counted, Slots: c.slots, Handlers: map[string]jobs.Handler{kind: {Run: f.handle}}})
	if err != nil {
		f.close()
		h.Close()
		return nil, errors.Join(err, store.Close())
	}
	stop, err := profile(c.cpuprofile)
	var m cycleSums
	if err == nil {
		m, err = c.drive(ctx, engine, f, counted)
		err = errors.Join(err, stop())
	}
	err = errors.Join(err, engine.Close(context.WithoutCancel(ctx)))
	f.close()
	h.Close()
	err = errors.Join(err, f.err, store.Close())
	if err != nil {
		return nil, err
	}
	if err := c.check(ctx, data, m, f); err != nil {
		return nil, err
	}
	bytes, err := sizeOf(data)
	if err != nil {
		return nil, err
	}
	secs := c.length.Seconds()
	goal := ""
	if c.clients == 256 {
		goal = "≥ 12,000 (goal 25,000)"
	}
	what := fmt.Sprintf("Full durable cycle, %d at once", c.clients)
	return []figure{
		single("cycle.rate", what, float64(len(m.cycles))/secs, "/s", goal),
		m.submits.latency("cycle.submit", what+": time of `Engine.Submit`", "ms", "", 0.5, 0.99),
		m.cycles.latency("cycle.latency", what+": submit → its end seen behind the hub", "ms", "", 0.5, 0.99),
		single("cycle.commits", what+": commits", float64(m.stored.commits)/secs, "/s", ""),
		single("cycle.batch", what+": changes and claimed jobs in one commit, on average", float64(m.stored.changes)/float64(max(m.stored.commits, 1)), "", ""),
		single("cycle.busy", what+": share of the time in `Store.Commit`", 100*m.stored.spent.Seconds()/secs, "%", ""),
		single("cycle.disk", what+": bytes on disk for each job", float64(bytes)/float64(m.total), "", ""),
	}, nil
}

// cycleSums holds what was counted while jobs ran.
type cycleSums struct {
	submits, cycles sample // only those entirely within the measured time
	stored          storeCounts
	total           int // jobs, with those before and after the time measured
}

// drive runs the clients. The first tenth is warm-up: its jobs are counted at the end,
// its time is not.
func (c *cycleOptions) drive(ctx context.Context, engine *engine.Engine, f *follower, store *countingStore) (m cycleSums, err error) {
	begin := time.Now().Add(c.length / 10)
	end := begin.Add(c.length)
	type client struct {
		submits, cycles sample
		total           int
		err             error
	}
	clients := make([]client, c.clients)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			me := &clients[i]
			for ctx.Err() == nil {
				start := time.Now()
				if !start.Before(end) {
					return
				}
				accepted, err := engine.Submit(ctx, jobs.Spec{Kind: kind, Queue: kind, Input: jobs.Value(input)})
				if err != nil {
					me.err = err
					return
				}
				submitted := time.Now()
				me.total++
				if me.err = f.track(accepted.Job.ID).wait(); me.err != nil {
					return
				}
				f.forget(accepted.Job.ID)
				if done := time.Now(); !start.Before(begin) && done.Before(end) {
					me.submits = append(me.submits, submitted.Sub(start))
					me.cycles = append(me.cycles, done.Sub(start))
				}
			}
		})
	}
	time.Sleep(time.Until(begin))
	before := store.counts()
	time.Sleep(time.Until(end))
	m.stored = store.counts().less(before)
	wg.Wait()
	errs := []error{ctx.Err()}
	for i := range clients {
		m.submits = append(m.submits, clients[i].submits...)
		m.cycles = append(m.cycles, clients[i].cycles...)
		m.total += clients[i].total
		errs = append(errs, clients[i].err)
	}
	return m, errors.Join(errs...)
}

// check opens the store again: each job must be there, with all events of its cycle, and the
// hub must have delivered exactly these events.
func (c *cycleOptions) check(ctx context.Context, data string, m cycleSums, f *follower) error {
	found, err := audit(ctx, data)
	if err != nil {
		return err
	}
	if len(found.jobs) != m.total {
		return fmt.Errorf("%d jobs were accepted, but the reopened store holds %d", m.total, len(found.jobs))
	}
	for id, t := range found.jobs {
		if err := t.finished(); err != nil {
			return fmt.Errorf("job %s %w", id, err)
		}
	}
	if f.events != found.events {
		return fmt.Errorf("the reopened log has %d events, but the hub delivered %d", found.events, f.events)
	}
	return nil
}

// profile starts a CPU profile; stop ends it. Without a file both do nothing.
func profile(file string) (stop func() error, err error) {
	if file == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// sizeOf is the number of bytes of the files in a folder.
func sizeOf(folder string) (sum int64, err error) {
	files, err := filepath.Glob(folder + "/*")
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			return 0, err
		}
		sum += info.Size()
	}
	return sum, nil
}
