package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

type idleOptions struct {
	place
	length time.Duration // how long the empty hub is observed
	starts int
	jobs   int // in the store that starts with jobs
}

func runIdle(ctx context.Context, args []string, o *output) ([]figure, error) {
	var d idleOptions
	fs := d.flags("idle", o)
	d.programFlag(fs)
	fs.DurationVar(&d.length, "for", 10*time.Second, "how `long` to observe the empty hub")
	fs.IntVar(&d.starts, "starts", 10, "starts with a new store, and with a full one")
	fs.IntVar(&d.jobs, "jobs", 10_000, "queued jobs in the store that is started on again and again")
	if err := d.enter(fs, args, o); err != nil {
		return nil, err
	}
	defer d.leave()
	return d.run(ctx, o)
}

func (d *idleOptions) run(ctx context.Context, o *output) ([]figure, error) {
	program, err := d.program(ctx)
	if err != nil {
		return nil, err
	}
	o.say("idle: an empty hub for %s", d.length)
	figures, err := d.empty(ctx, program)
	if err != nil {
		return nil, err
	}
	o.say("idle: %d starts on new folders, %d on one with %d jobs", d.starts, d.starts, d.jobs)
	starts, err := d.start(ctx, program)
	return append(figures, starts...), err
}

// empty observes a hub that has nothing to do, from outside.
func (d *idleOptions) empty(ctx context.Context, program string) ([]figure, error) {
	data, err := d.sub()
	if err != nil {
		return nil, err
	}
	p, err := serve(ctx, program, data)
	if err != nil {
		return nil, err
	}
	defer p.kill()
	pause := func(t time.Duration) error {
		select {
		case <-time.After(t):
			return nil
		case err := <-p.done:
			p.cmd = nil
			return fmt.Errorf("the empty hub ended: %v\n%s", err, p.log.String())
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := pause(min(d.length, 2*time.Second)); err != nil {
		return nil, err
	}
	pid := p.cmd.Process.Pid
	before, err := usageOf(pid)
	if err != nil {
		return nil, err
	}
	if err := pause(d.length); err != nil {
		return nil, err
	}
	after, err := usageOf(pid)
	if err != nil {
		return nil, err
	}
	// Check that the hub is alive.
	client, err := dial(p.addr)
	if err != nil {
		return nil, err
	}
	defer client.close()
	if _, err := client.submit(submission(kind)); err != nil {
		return nil, err
	}
	if err := p.stop(); err != nil {
		return nil, err
	}
	what := "Empty hub: "
	return []figure{
		single("idle.cpu", what+"CPU (utime + stime, in ticks of 10 ms)", float64(after.ticks-before.ticks)*10/d.length.Seconds(), "ms a second", "not measurable"),
		single("idle.oncpu", what+"time on a processor, as the scheduler counts it", float64(after.onCPU-before.onCPU)/1e3/d.length.Seconds(), "µs a second", ""),
		single("idle.switches", what+"times that a thread ran", float64(after.switches-before.switches)/d.length.Seconds(), "a second", ""),
		single("idle.rss", what+"RSS", float64(after.rss)/(1<<20), "MiB", "< 30"),
		single("idle.threads", what+"threads", float64(after.threads), "", ""),
	}, nil
}

// processUsage is what the kernel reports about a process.
type processUsage struct {
	ticks    int64 // of 10 ms, in user and in kernel mode
	onCPU    int64 // ns
	switches int64 // of context, by all threads: an idle process that polls shows here
	rss      int64 // bytes
	threads  int
}

func usageOf(pid int) (u processUsage, err error) {
	root := "/proc/" + strconv.Itoa(pid)
	stat, err := os.ReadFile(root + "/stat")
	if err != nil {
		return u, err
	}
	// The second field is a name in parentheses, which may hold anything.
	columns := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(columns) < 13 {
		return u, errors.New("/proc/PID/stat is not as expected")
	}
	for _, column := range columns[11:13] {
		n, err := strconv.ParseInt(column, 10, 64)
		if err != nil {
			return u, err
		}
		u.ticks += n
	}
	if u.rss, err = statusOf(root, "VmRSS"); err != nil {
		return u, err
	}
	u.rss <<= 10
	tasks, err := filepath.Glob(root + "/task/*")
	if err != nil {
		return u, err
	}
	u.threads = len(tasks)
	for _, task := range tasks {
		for _, name := range []string{"voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"} {
			n, err := statusOf(task, name)
			if err != nil {
				return u, err
			}
			u.switches += n
		}
		text, err := os.ReadFile(task + "/schedstat")
		if err != nil {
			return u, err
		}
		var n int64
		if _, err := fmt.Sscan(string(text), &n); err != nil {
			return u, err
		}
		u.onCPU += n
	}
	return u, nil
}

// statusOf is a number in the status file of a process or thread.
func statusOf(folder, name string) (int64, error) {
	text, err := os.ReadFile(folder + "/status")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(text) {
		if rest, ok := strings.CutPrefix(string(line), name+":"); ok {
			return strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s/status has no %s", folder, name)
}

// start measures from before the process is made to the first 202.
func (d *idleOptions) start(ctx context.Context, program string) ([]figure, error) {
	var fresh, again sample
	for range d.starts {
		data, err := d.sub()
		if err != nil {
			return nil, err
		}
		took, err := firstAccepted(ctx, program, data, 1)
		if err != nil {
			return nil, err
		}
		fresh = append(fresh, took)
	}
	data, err := d.filled(ctx)
	if err != nil {
		return nil, err
	}
	for i := range d.starts {
		took, err := firstAccepted(ctx, program, data, d.jobs+i+1)
		if err != nil {
			return nil, err
		}
		again = append(again, took)
	}
	return []figure{
		fresh.latency("start.fresh", "Start of the process → first `202`, new folder", "ms", "< 200", 0.5, 1),
		again.latency("start.again", fmt.Sprintf("Start of the process → first `202`, folder with %d jobs", d.jobs), "ms", "< 200", 0.5, 1),
	}, nil
}

// firstAccepted starts a hub, submits a job and ends the hub. The queue must then hold n jobs.
func firstAccepted(ctx context.Context, program, data string, n int) (time.Duration, error) {
	begin := time.Now()
	p, err := serve(ctx, program, data)
	if err != nil {
		return 0, err
	}
	defer p.kill()
	client, err := dial(p.addr)
	if err != nil {
		return 0, err
	}
	defer client.close()
	if _, err := client.submit(submission(kind)); err != nil {
		return 0, err
	}
	took := time.Since(begin)
	if err := client.expectQueued(kind, n); err != nil {
		return 0, err
	}
	return took, p.stop()
}

// filled returns the folder of a store that holds jobs.
func (d *idleOptions) filled(ctx context.Context) (string, error) {
	in, err := newInner(ctx, &d.place)
	if err != nil {
		return "", err
	}
	const writers = 64
	failed := make([]error, writers)
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := w; n < d.jobs && failed[w] == nil; n += writers {
				failed[w] = in.submit(ctx)
			}
		})
	}
	wg.Wait()
	return in.folder, errors.Join(append(failed, in.close())...)
}
