package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// stalled measures the cost of clients that stop reading, for the hub and for another client
// of the same queue, the canary. The queue is always busy: 50 submissions per second, whose
// events the canary times, and 100 lines of output.
func (f *fanoutOptions) stalled(ctx context.Context, o *output) (_ []figure, err error) {
	o.say("fanout stalled: a canary alone, then with %d clients that do not read for %s, then without them", f.conns, f.stall)
	stage, err := openStage(ctx, &f.place, "")
	if err != nil {
		return nil, err
	}
	defer stage.kill()
	pid := stage.cmd.Process.Pid
	if _, err := stage.submit(ctx, "q", 1); err != nil {
		return nil, err
	}
	runs, err := stage.take(stage.wires[0], "q", 1)
	if err != nil {
		return nil, err
	}
	// First fill the hub's memory of recent events, which is not caused by the stalled clients.
	for range 200 {
		if err := runs[0].report(stage.wires[0], 1000); err != nil {
			return nil, err
		}
	}
	c := &canary{}
	a, err := gather(ctx, guests{addr: stage.addr, n: 1, path: func(int) string { return "/v1/ws?queue=q" }, watch: func(int) watcher { return c.watch }})
	if err != nil {
		return nil, err
	}
	defer a.leave()

	var load sync.WaitGroup
	defer load.Wait()
	busy, quiet := context.WithCancel(ctx)
	defer quiet()
	feed := make(chan error, 1)
	published := 0
	load.Go(func() {
		n, err := stage.busy(busy, runs[0])
		published = n
		feed <- err
	})
	// hold continues the load for some time.
	hold := func(t time.Duration) error {
		select {
		case err := <-feed:
			feed <- err
			return fmt.Errorf("the load ended: %w", err)
		default:
		}
		return errors.Join(pause(ctx, t), a.failed())
	}

	length := 2 * f.length
	if err := hold(length / 4); err != nil {
		return nil, err
	}
	c.begin()
	if err := hold(length); err != nil {
		return nil, err
	}
	alone := c.end()
	before, err := usageOf(pid)
	if err != nil {
		return nil, err
	}
	files := descriptors(pid)

	crowd, err := gather(ctx, guests{addr: stage.addr, n: f.conns, path: func(int) string { return "/v1/ws?queue=q" }, stuck: true})
	if err != nil {
		return nil, err
	}
	defer crowd.leave()
	for full, since := 0, time.Now(); full < f.conns*99/100; {
		if full, err = unread(stage.addr); err != nil {
			return nil, err
		}
		if time.Since(since) > 30*time.Second {
			return nil, fmt.Errorf("of %d clients that do not read, the hub has something to send to %d only", f.conns, full)
		}
		if err := hold(200 * time.Millisecond); err != nil {
			return nil, err
		}
	}
	if err := hold(time.Second); err != nil {
		return nil, err
	}
	c.begin()
	peak := int64(0)
	for end := time.Now().Add(f.stall); time.Now().Before(end); {
		u, err := usageOf(pid)
		if err != nil {
			return nil, err
		}
		peak = max(peak, u.rss)
		if err := hold(250 * time.Millisecond); err != nil {
			return nil, err
		}
	}
	beside := c.end()
	closed := f.conns - (descriptors(pid) - files)
	told, known, err := metric(stage.addr, "jobhub_live_closes_total", `code="4001"`)
	if err != nil {
		return nil, err
	}
	crowd.leave()

	left := time.Now()
	after := before
	for again := false; !again && time.Since(left) < f.patience; {
		if err := hold(time.Second); err != nil {
			return nil, err
		}
		if after, err = usageOf(pid); err != nil {
			return nil, err
		}
		again = after.rss <= before.rss+before.rss/10
	}
	took := time.Since(left)
	if n := descriptors(pid); n > files+1 {
		return nil, fmt.Errorf("%s after %d clients left, the hub has %d files open more than before them", took, f.conns, n-files)
	}
	quiet()
	if err := <-feed; err != nil {
		return nil, err
	}
	if err := a.await(ctx, uint64(published)); err != nil {
		return nil, err
	}
	a.leave()

	what := fmt.Sprintf("%d clients that stop reading", f.conns)
	ratio := beside.millis(0.99) / alone.millis(0.99)
	const mib = 1 << 20
	gone := figure{Key: "fanout.stalled.closed", What: what + ": closed by the hub within " + f.stall.String(), Values: []value{{"", float64(closed)}}}
	if known {
		gone.Values = append(gone.Values, value{"counted as 4001", told})
	}
	return []figure{
		alone.latency("fanout.stalled.alone", "A canary alone: commit → received", "ms", "", 0.5, 0.99, 1),
		beside.latency("fanout.stalled.beside", "The canary beside "+what, "ms", "", 0.5, 0.99, 1),
		single("fanout.stalled.ratio", "The canary's p99 beside them, in those alone", ratio, "×", f.goal("≤ 2")),
		single("fanout.stalled.rss", what+": RSS of the hub at the most, for each", float64(peak-before.rss)/1024/float64(f.conns), "KiB", f.goal("≤ 100")),
		{Key: "fanout.stalled.memory", What: what + ": RSS of the hub before, at the most, and after they left", Unit: "MiB", Goal: f.goal("as before within 60 s"),
			Values: []value{{"before", float64(before.rss) / mib}, {"most", float64(peak) / mib}, {"after", float64(after.rss) / mib}, {"seconds", math.Round(took.Seconds())}}},
		gone,
	}, stage.stop()
}

// busy makes the load until ctx ends, and returns the number of events.
func (s *stage) busy(ctx context.Context, r *running) (events int, err error) {
	const rate = 50
	pace := pacer{start: time.Now(), every: time.Second / rate}
	w, body := s.wires[0], submission("q")
	for i := 0; pace.wait(ctx, i) == nil; i++ {
		if _, err := w.call("POST", "/v1/jobs", body, http.StatusAccepted); err != nil {
			return events, err
		}
		events++
		if i%5 == 0 {
			if err := r.report(s.wires[1], 10); err != nil {
				return events, err
			}
			events += 10
		}
	}
	return events, nil
}

// canary measures the delay of state changes while measuring is on. Output may be delayed by
// design, so it is only counted.
type canary struct {
	mu   sync.Mutex // protects the fields below
	on   bool
	ages sample
	row  watcher
}

func (c *canary) watch(event []byte, at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.row == nil {
		c.row = inRow()
	}
	if err := c.row(event, at); err != nil {
		return err
	}
	if !c.on || !strings.HasPrefix(string(event[:min(len(event), 24)]), `{"type":"job.queued"`) {
		return nil
	}
	age, err := ageOf(event, at)
	c.ages = append(c.ages, age)
	return err
}

func (c *canary) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on, c.ages = true, nil
}

func (c *canary) end() sample {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = false
	return c.ages
}

// descriptors returns how many files a process has open.
func descriptors(pid int) int {
	list, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/fd/*")
	return len(list)
}

// unread returns how many connections of a server on addr have bytes in their send queue that
// the client has not read.
func unread(addr string) (n int, err error) {
	_, port, _ := strings.Cut(addr, ":")
	number, err := strconv.Atoi(port)
	if err != nil {
		return 0, err
	}
	f, err := os.Open("/proc/net/tcp")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	local := fmt.Sprintf(":%04X", number)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		c := strings.Fields(lines.Text())
		if len(c) > 4 && strings.HasSuffix(c[1], local) && c[3] == "01" && !strings.HasPrefix(c[4], "00000000:") {
			n++
		}
	}
	return n, lines.Err()
}
