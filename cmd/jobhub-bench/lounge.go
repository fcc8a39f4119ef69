package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// idle measures the cost of an idle connection: for the hub, with a subscription to a job of
// its own; for the peers, without any subscription.
func (f *fanoutOptions) idle(ctx context.Context, o *output) (figures []figure, err error) {
	o.say("fanout idle: %d connections, the hub and the peers", f.conns)
	data, ids, err := f.waiting(ctx)
	if err != nil {
		return nil, err
	}
	memory := figure{Key: "fanout.idle.rss", What: fmt.Sprintf("%d idle connections, of the hub with a subscription each: RSS a connection", f.conns), Unit: "KiB", Goal: f.goal("jobhub ≤ 18 (goal 12)")}
	routines := figure{Key: "fanout.idle.goroutines", What: "Goroutines a connection", Goal: f.goal("jobhub 1")}
	measure := func(name string, p *process, path func(int) string) error {
		defer p.kill()
		rss, n, known, err := f.lounge(ctx, p, path)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		memory.Values = append(memory.Values, value{name, rss})
		if known {
			routines.Values = append(routines.Values, value{name, n})
		}
		return p.stop()
	}
	program, err := f.program(ctx)
	if err != nil {
		return nil, err
	}
	hub, err := serve(ctx, program, data)
	if err != nil {
		return nil, err
	}
	if err := measure("jobhub", hub, func(i int) string { return "/v1/ws?job=" + ids[i] }); err != nil {
		return nil, err
	}
	for _, peer := range peers {
		if peer.name == "bare" {
			continue
		}
		p, err := startPeer(ctx, peer.name, 200)
		if err != nil {
			return nil, err
		}
		if err := measure(peer.name, p, func(int) string { return "/ws" }); err != nil {
			return nil, err
		}
	}
	return []figure{memory, routines}, nil
}

// waiting makes a store with a job for each connection. Another hub is measured, because the
// memory of this one would include what the submissions needed.
func (f *fanoutOptions) waiting(ctx context.Context) (data string, ids []string, err error) {
	if data, err = f.sub(); err != nil {
		return "", nil, err
	}
	stage, err := openStage(ctx, &f.place, data)
	if err != nil {
		return "", nil, err
	}
	defer stage.kill()
	if ids, err = stage.submit(ctx, "q", f.conns); err != nil {
		return "", nil, err
	}
	return data, ids, stage.stop()
}

// lounge connects an audience and measures the server when its memory no longer changes.
func (f *fanoutOptions) lounge(ctx context.Context, p *process, path func(int) string) (kib, routines float64, known bool, err error) {
	// One request first, so that the cost of the first request is not counted.
	first, err := gather(ctx, guests{addr: p.addr, n: 1, path: path})
	if err != nil {
		return 0, 0, false, err
	}
	defer first.leave()
	before, err := f.settled(ctx, p.cmd.Process.Pid)
	if err != nil {
		return 0, 0, false, err
	}
	ran, _, err := metric(p.addr, "go_goroutines")
	if err != nil {
		return 0, 0, false, err
	}
	a, err := gather(ctx, guests{addr: p.addr, n: f.conns, path: path})
	if err != nil {
		return 0, 0, false, err
	}
	defer a.leave()
	after, err := f.settled(ctx, p.cmd.Process.Pid)
	if err != nil {
		return 0, 0, false, err
	}
	runs, known, err := metric(p.addr, "go_goroutines")
	if err := errors.Join(err, a.failed()); err != nil {
		return 0, 0, false, err
	}
	n := float64(f.conns)
	return float64(after-before) / n / 1024, (runs - ran) / n, known, nil
}

// settled waits until the memory of a process has not changed by 1 % for half the
// length of a measurement, 10 s at the most, and returns it in bytes.
func (f *fanoutOptions) settled(ctx context.Context, pid int) (int64, error) {
	var base int64
	since := time.Now()
	for end := since.Add(10 * time.Second); ; {
		u, err := usageOf(pid)
		if err != nil {
			return 0, err
		}
		if off := u.rss - base; max(off, -off) > base/100 {
			base, since = u.rss, time.Now()
		}
		if now := time.Now(); now.Sub(since) > f.length/2 || now.After(end) {
			return u.rss, nil
		}
		if err := pause(ctx, 100*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// metric is the sum of the samples of a Prometheus metric whose line begins with name and
// has all the labels. It is not known if the server has no such metric.
func metric(addr, name string, labels ...string) (sum float64, known bool, err error) {
	w, err := dial(addr)
	if err != nil {
		return 0, false, err
	}
	defer w.close()
	text, err := w.call("GET", "/metrics", nil, http.StatusOK)
	if err != nil && strings.Contains(err.Error(), "404") {
		return 0, false, nil
	}
	lines := bufio.NewScanner(bytes.NewReader(text))
next:
	for lines.Scan() {
		line := lines.Text()
		if !strings.HasPrefix(line, name) {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(line, label) {
				continue next
			}
		}
		v, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			return 0, false, fmt.Errorf("/metrics has %q", line)
		}
		sum, known = sum+v, true
	}
	return sum, known, err
}
