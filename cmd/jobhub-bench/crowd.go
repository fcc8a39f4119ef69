package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// crowdOptions says how many clients submit at the same time, and for how long.
type crowdOptions struct {
	conns      int
	length     time.Duration
	cpuprofile string
}

func (c *crowdOptions) crowdFlags(fs *flag.FlagSet) {
	fs.IntVar(&c.conns, "conns", 64, "`connections` that submit at once")
	fs.DurationVar(&c.length, "for", 5*time.Second, "how `long` they submit")
	fs.StringVar(&c.cpuprofile, "cpuprofile", "", "write a CPU profile of the hub under these connections to `file`; they then talk to a hub put together here as serve does it")
}

// crowd measures many clients in a closed loop: each sends its next submission when it has the
// answer to the one before. Submissions that arrive during a commit form the next one.
func (s *submitOptions) crowd(ctx context.Context, program string, o *output) ([]figure, error) {
	data, err := s.sub()
	if err != nil {
		return nil, err
	}
	var p *process
	if s.cpuprofile == "" {
		p, err = serve(ctx, program, data)
	} else {
		o.say("submit: the clients talk to a hub under a profiler, which slows it")
		p, err = s.standIn(ctx, data)
	}
	if err != nil {
		return nil, err
	}
	defer p.kill()

	wires := make([]*wire, s.conns)
	for i := range wires {
		if wires[i], err = dial(p.addr); err != nil {
			return nil, err
		}
		defer wires[i].close()
	}
	// The first tenth is warm-up: its jobs are counted at the end, its time is not.
	begin := time.Now().Add(s.length / 10)
	end := begin.Add(s.length)
	accepted := make([]int, s.conns)
	took := make([]sample, s.conns)
	failed := make([]error, s.conns)
	var clients sync.WaitGroup
	for i, w := range wires {
		clients.Go(func() {
			request := submission(kind)
			for ctx.Err() == nil {
				start := time.Now()
				if !start.Before(end) {
					return
				}
				if _, failed[i] = w.submit(request); failed[i] != nil {
					return
				}
				accepted[i]++
				if now := time.Now(); !start.Before(begin) && now.Before(end) {
					took[i] = append(took[i], now.Sub(start))
				}
			}
		})
	}
	clients.Wait()
	if err := errors.Join(append(failed, ctx.Err())...); err != nil {
		return nil, err
	}
	total := 0
	var all sample
	for i := range accepted {
		total += accepted[i]
		all = append(all, took[i]...)
	}
	if err := wires[0].expectQueued(kind, total); err != nil {
		return nil, err
	}
	if err := p.stop(); err != nil {
		return nil, err
	}
	if err := expectStored(ctx, data, total); err != nil {
		return nil, err
	}
	commits, err := commitsOf(data)
	if err != nil {
		return nil, err
	}
	goal := ""
	if s.conns == 64 {
		goal = "≥ 10,000 (goal 15,000)"
	}
	what := fmt.Sprintf("Durable submits over HTTP, %d keep-alive connections", s.conns)
	return []figure{
		single("submit.crowd.rate", what, float64(len(all))/s.length.Seconds(), "/s", goal),
		all.latency("submit.crowd.latency", what+": time of one", "ms", "", 0.5, 0.9, 0.99),
		single("submit.crowd.batch", what+": jobs in one commit, on average", float64(total)/float64(commits), "", ""),
	}, nil
}

func (s *submitOptions) standIn(ctx context.Context, data string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(exec.CommandContext(ctx, self, "hub", "--data", data, "--cpuprofile", s.cpuprofile))
}

// commitsOf counts the commits of a closed store: the log has one row for each.
func commitsOf(folder string) (n int64, err error) {
	conn, err := sqlite.OpenConn(filepath.Join(folder, "jobs.db"), sqlite.OpenReadOnly)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	st, err := conn.Prepare("SELECT count(*) FROM log")
	if err != nil {
		return 0, err
	}
	return sqlitex.ResultInt64(st)
}
