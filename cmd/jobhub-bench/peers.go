package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// peersOptions are the options of the comparison with other job queues.
type peersOptions struct {
	place
	length  time.Duration // of each measurement
	backlog int           // unfinished jobs at most, in batches
	only    string        // names of systems; all if empty
}

func runPeers(ctx context.Context, args []string, o *output) ([]figure, error) {
	var p peersOptions
	fs := p.flags("peers", o)
	p.programFlag(fs)
	fs.DurationVar(&p.length, "for", 10*time.Second, "how `long` each measurement takes")
	fs.IntVar(&p.backlog, "backlog", 10_000, "unfinished `jobs` at most when they are submitted in batches")
	fs.StringVar(&p.only, "only", "", "measure only these `systems`, like jobhub,river (jobhub, asynq, river)")
	if err := p.enter(fs, args, o); err != nil {
		return nil, err
	}
	defer p.leave()
	return p.run(ctx, o)
}

// system is a job queue in another process, with a description of its durability.
type system struct {
	key, name, durable string
	worker             string // for `jobhub-bench worker --system`
	missing            func() string
	open               func(ctx context.Context, p *place) (backend, error)
}

// backend is a running system for one measurement.
type backend interface {
	address() string // for its worker
	// client returns a function that submits n jobs and returns when they are accepted.
	client(ctx context.Context) (submit func(n int) error, hangUp func(), err error)
	// kept stops the system, starts it again from its disk, and returns the number of
	// finished jobs and of all others.
	kept(ctx context.Context) (finished, others int, err error)
	kill()
}

var (
	hubSystem   = system{"jobhub", "jobhub", "fdatasync before the answer", "jobhub", nil, openHub}
	hubClient   = system{"jobhub.client", "jobhub with a worker of its Go client", "fdatasync before the answer", "jobhub-client", nil, openHub}
	asynqSecond = system{"asynq.everysec", "Asynq", "Redis, appendfsync everysec: up to a second may be lost", "asynq", missingRedis, openRedis("everysec")}
	asynqAlways = system{"asynq.always", "Asynq", "Redis, appendfsync always", "asynq", missingRedis, openRedis("always")}
	riverSystem = system{"river", "River", "PostgreSQL, synchronous_commit on", "river", missingPostgres, openPostgres}
)

// load says how jobs are submitted.
type load struct {
	clients, size int // each client submits that many at a time
	most          int // unfinished jobs
}

type entry struct {
	system
	load
}

// run measures whole lives of jobs: submitted over the network, run by a worker in another
// process, whose handler does nothing, and finished as durably as the system does that.
func (p *peersOptions) run(ctx context.Context, o *output) ([]figure, error) {
	one := load{256, 1, 256}
	figures, gone := p.skipped(o)
	single := []entry{{hubSystem, one}, {hubClient, one}, {asynqSecond, one}, {asynqAlways, one}, {riverSystem, one}}
	f, err := p.compare(ctx, o, "peers.one", "one by one, 256 unfinished at a time", single, gone)
	if err != nil {
		return nil, err
	}
	figures = append(figures, f...)
	steady := load{256, 1, p.backlog} // Asynq has no call that submits many
	batches := []entry{
		{hubSystem, load{8, 100, p.backlog}}, {hubSystem, load{8, 1000, p.backlog}}, {hubClient, load{8, 100, p.backlog}},
		{asynqSecond, steady}, {asynqAlways, steady}, {riverSystem, load{8, 256, p.backlog}},
	}
	f, err = p.compare(ctx, o, "peers.many", "in batches", batches, gone)
	return append(figures, f...), err
}

func (p *peersOptions) wanted(s system) bool {
	name, _, _ := strings.Cut(s.worker, "-")
	return p.only == "" || slices.Contains(strings.Split(p.only, ","), name)
}

// skipped lists the other systems that are not installed here.
func (p *peersOptions) skipped(o *output) (lines []figure, gone map[string]bool) {
	gone = map[string]bool{}
	for _, s := range []system{asynqAlways, riverSystem} {
		if !p.wanted(s) {
			continue
		}
		if text := s.missing(); text != "" {
			o.say("peers: SKIPPED %s: %s", s.name, text)
			lines = append(lines, figure{Key: "peers.skipped." + s.worker, What: "Not compared with " + s.name, Unit: "skipped: " + text})
			gone[s.worker] = true
		}
	}
	return lines, gone
}

// compare measures the systems one after another, and jobhub's ratio to each of the others.
func (p *peersOptions) compare(ctx context.Context, o *output, key, how string, entries []entry, gone map[string]bool) ([]figure, error) {
	var figures, ratios []figure
	var ours []value
	for _, e := range entries {
		if gone[e.worker] || !p.wanted(e.system) {
			continue
		}
		o.say("peers: %s (%s) %s, %d at a time, for %s", e.name, e.durable, how, e.size, p.length)
		rate, err := p.measure(ctx, e)
		if err != nil {
			return nil, fmt.Errorf("%s, %s: %w", e.name, e.durable, err)
		}
		at, what := key+"."+e.key, fmt.Sprintf("Submit → run → finished, %s: %s (%s)", how, e.name, e.durable)
		if e.size > 1 {
			at, what = fmt.Sprintf("%s.%d", at, e.size), fmt.Sprintf("%s, %d in a batch", what, e.size)
		} else if e.most > e.clients {
			what += fmt.Sprintf(", which has none: %d clients", e.clients)
		}
		figures = append(figures, single(at+".rate", what, rate, "jobs/s", ""))
		if e.key == hubClient.key {
			continue
		}
		if e.key == hubSystem.key {
			v := value{Value: rate}
			if e.size > 1 {
				v.Name = fmt.Sprintf("%d in a batch", e.size)
			}
			ours = append(ours, v)
			continue
		}
		ratio := figure{Key: at + ".ratio", What: fmt.Sprintf("jobhub's rate in that of %s (%s), %s", e.name, e.durable, how), Unit: "×"}
		for _, v := range ours {
			ratio.Values = append(ratio.Values, value{v.Name, v.Value / rate})
		}
		ratios = append(ratios, ratio)
	}
	return append(figures, ratios...), nil
}

// drainTime is how long a system may take to finish its jobs after the last submission.
const drainTime = time.Minute

// measure runs one system. Jobs of the warm-up, a quarter of the time, are checked like
// all others, but not counted.
func (p *peersOptions) measure(ctx context.Context, e entry) (rate float64, err error) {
	b, err := e.open(ctx, &p.place)
	if err != nil {
		return 0, err
	}
	defer b.kill()
	submits, hangUp, err := e.dial(ctx, b)
	defer hangUp()
	if err != nil {
		return 0, err
	}
	win := newWindow(e.most)
	w, err := startWorker(ctx, e.worker, b.address(), win.finish)
	if err != nil {
		return 0, err
	}
	defer w.kill()
	whole := ctx
	ctx, lost := context.WithCancelCause(whole)
	defer lost(nil)
	go func() { // until kill
		<-w.done
		lost(errors.New("the worker has ended"))
	}()

	var clients sync.WaitGroup
	for _, submit := range submits {
		clients.Go(func() {
			for win.take(e.size) {
				if err := submit(e.size); err != nil {
					lost(err)
					return
				}
			}
		})
	}
	defer context.AfterFunc(ctx, win.end)()
	pause(ctx, p.length/4)
	begin, before := time.Now(), win.finished()
	pause(ctx, p.length)
	took, counted := time.Since(begin), win.finished()-before
	win.end()
	clients.Wait()
	if err := context.Cause(ctx); err != nil {
		return 0, err
	}

	waiting, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	for win.finished() < win.sent {
		if pause(waiting, 10*time.Millisecond) != nil {
			return 0, fmt.Errorf("%d jobs were submitted, but only %d finished within %s: %w", win.sent, win.finished(), drainTime, context.Cause(waiting))
		}
	}
	runs, err := w.stop()
	if err != nil {
		return 0, err
	}
	finished, others, err := b.kept(whole)
	if err == nil && (runs != win.sent || win.finished() != win.sent || finished != win.sent || others != 0) {
		err = fmt.Errorf("%d jobs were submitted; the worker ran %d and saw %d finish; started again, the system says that %d are finished and %d are not",
			win.sent, runs, win.finished(), finished, others)
	}
	return float64(counted) / took.Seconds(), err
}

// dial makes the clients of a load.
func (e *entry) dial(ctx context.Context, b backend) (submits []func(int) error, hangUp func(), err error) {
	var ends []func()
	hangUp = func() {
		for _, end := range ends {
			end()
		}
	}
	for range e.clients {
		submit, end, err := b.client(ctx)
		if err != nil {
			return nil, hangUp, err
		}
		submits, ends = append(submits, submit), append(ends, end)
	}
	return submits, hangUp, nil
}
