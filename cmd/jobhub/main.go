// Command jobhub is the hub and its tools in one binary.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
)

// version is set by release builds: -ldflags "-X main.version=…".
var version string

const usage = `jobhub runs jobs durably and shows every step live.

Usage: jobhub COMMAND [flags]

  serve     run the hub
  demo      run a hub with a sample API and a stream of real jobs
  submit    submit a job
  watch     follow jobs live; --raw shows the WebSocket protocol
  work      run the jobs of a kind with any program
  jobs      list jobs
  cancel    cancel jobs
  retry     submit finished jobs again
  bulk      cancel, retry, delete or run all jobs that match a filter
  queues    list queues; pause, resume and limit them
  explain   show what the hub would do with a request
  keys      make, list, change and revoke the keys of callers (also called token)
  check     check a configuration file
  digest    hash and compress a file, as the demo's worker does
  version   print the version

jobhub COMMAND --help shows the flags of a command. Each of them can be set by an
environment variable too: --egress-allow by JOBHUB_EGRESS_ALLOW, and so on.
`

var commands = map[string]func(ctx context.Context, args []string, stdout, stderr io.Writer) int{
	"serve":   runServe,
	"demo":    runDemo,
	"submit":  runSubmit,
	"watch":   runWatch,
	"work":    runWork,
	"jobs":    runJobs,
	"cancel":  runCancel,
	"retry":   runRetry,
	"bulk":    runBulk,
	"queues":  runQueues,
	"explain": runExplain,
	"keys":    runKeys,
	"token":   runKeys,
	"check":   runCheck,
	"digest":  runDigest,
	"version": func(_ context.Context, _ []string, stdout, _ io.Writer) int {
		fmt.Fprintln(stdout, "jobhub", programVersion(), runtime.Version())
		return 0
	},
}

func main() {
	// With one processor an fsync would block the whole program.
	runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), 2))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	}
	switch name := os.Args[1]; name {
	case "help", "-h", "-help", "--help":
		fmt.Print(usage)
	default:
		run, ok := commands[name]
		if !ok {
			fmt.Fprintf(os.Stderr, "jobhub: there is no command %q\n\n%s", name, usage)
			os.Exit(2)
		}
		os.Exit(run(ctx, os.Args[2:], os.Stdout, os.Stderr))
	}
}

func programVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}
