// Command jobhub-bench measures jobhub: the real program over its network interfaces,
// and its engine in process.
//
// Every measurement also checks that the work was done: answers, counts, and for the
// engine what a reopened store holds. A difference is an error and a non-zero exit,
// whatever the figures. Durations are recorded one by one and sorted; a percentile is
// the recorded value at that rank.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

const usage = `jobhub-bench measures jobhub and checks that the work was done.

Usage: jobhub-bench COMMAND [flags]

  submit    durable submits over HTTP, against one append + fdatasync
  batch     durable submits over HTTP, up to 1,000 in one request
  finish    the end of a job to its event at a WebSocket client, when idle
  idle      what an empty hub uses, and how long it takes to start
  cycle     the engine in process: submit, claim, 2 progress, finish
  fanout    events to up to 10,000 WebSocket clients: crowd, narrow, idle, store, stalled
  pickup    how long a worker in another process waits for a job
  fanout-http
            a fan-out to two targets of 300 ms, until its result is there
  scale     the same with up to a million jobs in the store, and what it takes to open that
  routes    requests through a route, beside Go's own reverse proxy and POST /v1/jobs
  pages     the dashboard in Chromium: event to paint, frames, memory, bytes, viewers
  peers     whole lives of jobs, beside Asynq on Redis and River on PostgreSQL
  all       all but scale, as one Markdown table

jobhub-bench COMMAND --help shows the flags of a command.
`

// command measures something; the figures that it returns are printed.
type command func(ctx context.Context, args []string, o *output) ([]figure, error)

var commands = map[string]command{
	"submit":      runSubmit,
	"batch":       runBatch,
	"finish":      runFinish,
	"idle":        runIdle,
	"cycle":       runCycle,
	"scale":       runScale,
	"pickup":      runPickup,
	"fanout-http": runFanoutHTTP,
	"fanout":      runFanout,
	"routes":      runRoutes,
	"pages":       runPages,
	"peers":       runPeers,
	"all":         runAll,
	"hub":         runStandIn,    // started with --cpuprofile
	"peer":        runPeer,       // started by fanout
	"proxy":       runPlainProxy, // started by routes
	"worker":      runWorker,     // started by peers
}

func main() {
	// As jobhub does: with one processor an fsync would stop all else in the program.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), 2))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(stderr, usage)
		return 2
	}
	name := args[0]
	if name == "help" || name == "-h" || name == "--help" {
		fmt.Fprint(stdout, usage)
		return 0
	}
	measure, ok := commands[name]
	if !ok {
		fmt.Fprintf(stderr, "jobhub-bench: there is no command %q\n\n%s", name, usage)
		return 2
	}
	o := &output{stdout: stdout, stderr: stderr}
	figures, err := measure(ctx, args[1:], o)
	if err == nil {
		err = o.print(figures)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errFlags):
		return 2
	case err != nil:
		fmt.Fprintf(stderr, "jobhub-bench %s: %v\n", name, err)
		return 1
	}
	return 0
}
