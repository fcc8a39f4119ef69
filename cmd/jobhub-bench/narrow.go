package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	eventRate = 10_000 // a second, in all
	inReport  = 10     // events in one report
)

// narrow measures the delay of events to connections that watch one job each. The rate of
// events is the same for any number of connections.
//
// First all jobs are started at that rate, so each event is for another connection.
// Then their workers report output, 1,000 reports a second with ten events each.
func (f *fanoutOptions) narrow(ctx context.Context, o *output) (figures []figure, err error) {
	var p99s []value
	for _, n := range []int{f.conns / 100, f.conns / 10, f.conns} {
		o.say("fanout narrow: %d connections that watch a job each", n)
		started, reported, cost, err := f.narrowOf(ctx, n)
		if err != nil {
			return nil, err
		}
		what := fmt.Sprintf("%d connections that watch a job each, 10,000 events a second: commit → received", n)
		key := "fanout.narrow." + strconv.Itoa(n)
		figures = append(figures,
			reported.latency(key, what, "ms", f.goal("p99 < 20"), 0.5, 0.99, 1),
			started.latency(key+".started", what+", all jobs started once", "ms", f.goal("p99 < 20"), 0.5, 0.99, 1), cost)
		p99s = append(p99s, value{strconv.Itoa(n), reported.millis(0.99)})
	}
	return append(figures, single("fanout.narrow.flat", "A job each: p99 with the most connections, in those with the fewest", p99s[2].Value/p99s[0].Value, "×", f.goal("flat"))), nil
}

func (f *fanoutOptions) narrowOf(ctx context.Context, n int) (started, reported sample, cost figure, err error) {
	stage, err := openStage(ctx, &f.place, "")
	if err != nil {
		return nil, nil, cost, err
	}
	defer stage.kill()
	ids, err := stage.submit(ctx, "q", n)
	if err != nil {
		return nil, nil, cost, err
	}
	ages := make([]sample, n)
	a, err := gather(ctx, guests{addr: stage.addr, n: n, path: func(i int) string { return "/v1/ws?job=" + ids[i] }, watch: func(i int) watcher {
		return func(event []byte, at time.Time) error {
			if job := memberOf(event, `"job":"`, `"`); string(job) != ids[i] {
				return fmt.Errorf("job %s is watched, and an event of %s came", ids[i], job)
			}
			age, err := ageOf(event, at)
			ages[i] = append(ages[i], age)
			return err
		}
	}})
	if err != nil {
		return nil, nil, cost, err
	}
	defer a.leave()
	runs, err := stage.startAll(ctx, n)
	if err != nil {
		return nil, nil, cost, err
	}
	if err := a.await(ctx, 1); err != nil {
		return nil, nil, cost, err
	}
	began := time.Now()
	before, err := usageOf(stage.cmd.Process.Pid)
	if err != nil {
		return nil, nil, cost, err
	}
	own := ownTime()
	// All jobs report equally often, so that in the end each connection has the same number of
	// events.
	rounds := max(int(math.Round(f.length.Seconds()*eventRate/inReport/float64(n))), 1)
	pace := pacer{start: began, every: time.Second * inReport / eventRate}
	err = stage.each(ctx, stageWires, func(w *wire, k int) error {
		for i := 0; i < rounds*n; i += n { // one wire for all reports of a job, so that they stay in order
			for job := k; job < n; job += stageWires {
				if err := pace.wait(ctx, i+job); err != nil {
					return err
				}
				if err := runs[job].report(w, inReport); err != nil {
					return err
				}
			}
		}
		return nil
	})
	took := time.Since(began).Seconds()
	if err != nil {
		return nil, nil, cost, err
	}
	after, err := usageOf(stage.cmd.Process.Pid)
	if err != nil {
		return nil, nil, cost, err
	}
	client := (ownTime() - own).Seconds() / took
	if err := a.await(ctx, uint64(1+rounds*inReport)); err != nil {
		return nil, nil, cost, err
	}
	frames := a.frameCount()
	total, _, _ := a.heard()
	a.leave()
	for _, of := range ages {
		started, reported = append(started, of[0]), append(reported, of[1:]...)
	}
	what := fmt.Sprintf("%d connections that watch a job each: events a second, in a frame; processors busy", n)
	cost = figure{Key: "fanout.narrow." + strconv.Itoa(n) + ".cost", What: what, Values: []value{{"rate", math.Round(float64(len(reported)) / took)},
		{"frame", float64(total) / float64(frames)}, {"server", float64(after.ticks-before.ticks) / 100 / took}, {"client", client}}}
	return started, reported, cost, stage.stop()
}

// startAll has workers take all n jobs of queue q, a hundredth of a second's events at a
// time. run i is not that of job i: the hub decides.
func (s *stage) startAll(ctx context.Context, n int) (runs []*running, err error) {
	size := min(eventRate/100, max(n/10, 1))
	pace := pacer{start: time.Now(), every: time.Second * time.Duration(size) / eventRate}
	var mu sync.Mutex // protects runs
	return runs, s.each(ctx, (n+size-1)/size, func(w *wire, i int) error {
		if err := pace.wait(ctx, i); err != nil {
			return err
		}
		part, err := s.take(w, "q", min(size, n-i*size))
		mu.Lock()
		defer mu.Unlock()
		runs = append(runs, part...)
		return err
	})
}

// store measures the delay from a submit to 100 subscribers of all, which each get all.
func (f *fanoutOptions) store(ctx context.Context, o *output) ([]figure, error) {
	const subscribers, rate = 100, 1000
	o.say("fanout store: %d subscribers of all, %d submits a second", subscribers, rate)
	stage, err := openStage(ctx, &f.place, "")
	if err != nil {
		return nil, err
	}
	defer stage.kill()
	ages := make([]sample, subscribers)
	a, err := gather(ctx, guests{addr: stage.addr, n: subscribers, path: func(int) string { return "/v1/ws?all=1" }, watch: func(i int) watcher {
		row := inRow()
		return func(event []byte, at time.Time) error {
			age, err := ageOf(event, at)
			ages[i] = append(ages[i], age)
			return errors.Join(err, row(event, at))
		}
	}})
	if err != nil {
		return nil, err
	}
	defer a.leave()
	n := max(int(f.length.Seconds()*rate), 1)
	answered := make(sample, n)
	pace := pacer{start: time.Now(), every: time.Second / rate}
	body := submission("q")
	err = stage.each(ctx, n, func(w *wire, i int) error {
		if err := pace.wait(ctx, i); err != nil {
			return err
		}
		sent := time.Now()
		_, err := w.call("POST", "/v1/jobs", body, http.StatusAccepted)
		answered[i] = time.Since(sent)
		return err
	})
	took := time.Since(pace.start).Seconds()
	if err != nil {
		return nil, err
	}
	if err := a.await(ctx, uint64(n)); err != nil {
		return nil, err
	}
	a.leave()
	var all sample
	for _, of := range ages {
		all = append(all, of[n/10:]...) // a tenth is warm-up
	}
	what := fmt.Sprintf("%d subscribers of all, %.0f submits a second", subscribers, float64(n)/took)
	return []figure{
		all.latency("fanout.store", what+": commit → received", "ms", "p99 < 10", 0.5, 0.99, 1),
		answered[n/10:].latency("fanout.store.answer", what+": submit sent → `202`", "ms", "", 0.5, 0.99, 1),
	}, stage.stop()
}
