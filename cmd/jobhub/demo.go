package main

import (
	"context"
	"fmt"
	"io"
	"jobhub/cmd/jobhub/app"
	"jobhub/cmd/jobhub/demo"
	"os"
	"os/exec"
)

const demoUsage = `Usage: jobhub demo [flags]

Starts a hub on a temporary store, a sample API that it calls, and clients that submit
real jobs all the time: calls, fan-outs, batches, some with callbacks to the sample
API, and some through routes in front of it. There are schedules, too. With --files
there is also a worker process, which works on real files.

A ledger checks from the outside that no job is lost. It balances the jobs that the
clients submitted. Those that the hub makes itself are checked, but not counted:
deliveries of callbacks, ticks of schedules, and jobs of a batch's items.

`

func runDemo(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	o := demo.Options{Version: programVersion(), Out: stdout, InPlace: terminal(stdout), Worker: fileWorker}
	fs := newFlags("demo", demoUsage, stderr)
	fs.StringVar(&o.Addr, "addr", "", "`address` of the hub (default: "+app.DefaultAddr+", or another port if that is in use)")
	fs.Uint64Var(&o.Seed, "seed", 42, "`number` that seeds what the clients do")
	fs.Float64Var(&o.Rate, "rate", 4, "jobs submitted per second, by all clients")
	fs.DurationVar(&o.Length, "for", 0, "stop after this time (default: run until ^C)")
	fs.StringVar(&o.Files, "files", "", "also hash and compress files of this `folder` in a worker process")
	args, code, ok := parseClient(fs, args)
	if !ok {
		return code
	}
	if len(args) > 0 || o.Rate <= 0 || o.Rate > 10_000 || o.Length < 0 {
		fmt.Fprintln(stderr, "jobhub demo: takes only flags, and a --rate above 0")
		return 2
	}
	balanced, err := demo.Run(ctx, o)
	if err != nil {
		fmt.Fprintln(stderr, "jobhub demo:", err)
	}
	if !balanced {
		return 1
	}
	return 0
}

// fileWorker returns the command that runs this program as a worker for the demo's files.
func fileWorker(server string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "work", "--log", "warn", "--server", server, "--kind", demo.FileKind, "--queue", demo.FileQueue, "--slots", "2", "--grace", "1s", "--", self, "digest")
	cmd.SysProcAttr = ownGroup() // ^C is for the demo, which then ends the worker
	return cmd, nil
}
