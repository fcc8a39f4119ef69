package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"jobhub/web/client"
	"jobhub/web/clip"
)

const workUsage = `Usage: jobhub work --kind K [--kind K2] [flags] -- COMMAND [ARGS…]

Makes any program a worker: COMMAND runs once for each attempt at a job.

  stdin    the job's input as JSON, on one line
  stdout   each line becomes output of the job, except for these:
             ::progress 40 page 4 of 10     progress in percent, with a message
             ::checkpoint JSON              state from which a next attempt continues
             ::result JSON                  the job's result
           Without ::result the result is all of stdout if that is one JSON value,
           else {"exit":0}. A line of more than 64 KiB is sent in pieces.
  stderr   becomes output, too
  exit     0        the job succeeded
           64, 65   it failed, without a retry: wrong usage (EX_USAGE), bad input (EX_DATAERR)
           others   the attempt failed, and is retried if the job allows it; so for 75
                    (EX_TEMPFAIL), death by a signal and all other codes

  JOBHUB_JOB_ID, JOBHUB_ATTEMPT (from 1), JOBHUB_KIND, JOBHUB_QUEUE and JOBHUB_CHECKPOINT
  (JSON; empty if there is none) describe the job to COMMAND.

When a job is cancelled, times out or is given to another worker, COMMAND and the processes
that it has started get SIGTERM, and SIGKILL after 8 s. Processes that it leaves running in
its process group are killed when it ends.

A hub with keys requires one with the role worker, as JOBHUB_TOKEN or --token. If the hub
refuses the key, or none was given, the worker ends with an error; start it again with a
valid one.

SIGTERM ends the worker: it takes no further jobs, lets running jobs finish within --grace,
and gives the rest back, which does not count as an attempt. A second SIGTERM ends it at
once; its jobs run elsewhere when their leases expire.

`

func runWork(ctx context.Context, args []string, _, stderr io.Writer) int {
	var level slog.Level
	w := client.Worker{}
	fs, c := clientFlags("work", workUsage, stderr)
	list := func(to *[]string) func(string) error {
		return func(text string) error { *to = append(*to, strings.Split(text, ",")...); return nil }
	}
	fs.Func("kind", "`kind` of the jobs to take; may be repeated", list(&w.Kinds))
	fs.Func("queue", "`queue` to take them from; may be repeated (default all)", list(&w.Queues))
	fs.IntVar(&w.Slots, "slots", 1, "how many jobs run at the same time")
	fs.StringVar(&w.Name, "name", "", "`name` of this worker for people (default COMMAND@HOST)")
	fs.DurationVar(&w.Grace, "grace", 10*time.Second, "how long jobs may finish when the worker is told to end")
	fs.TextVar(&level, "log", slog.LevelInfo, "lowest `level` to log: debug, info, warn or error")
	command, code, ok := parseClient(fs, args)
	if !ok {
		return code
	}
	if len(w.Kinds) == 0 || len(command) == 0 || w.Slots < 1 {
		fmt.Fprintln(stderr, "jobhub work: want --kind and, after --, the COMMAND that runs its jobs; see jobhub work --help")
		return 2
	}
	if _, err := exec.LookPath(command[0]); err != nil {
		fmt.Fprintln(stderr, "jobhub work:", err)
		return 1
	}
	if w.Name == "" {
		host, _ := os.Hostname()
		w.Name = clip.Shorten(filepath.Base(command[0])+"@"+host, 64)
	}
	w.Logger = slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	w.Client = c
	r := &runner{command: command, groups: map[*group]bool{}}
	w.Handle = r.run

	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	for signalled := 0; ; signalled++ {
		select {
		case err := <-ended:
			if p, ok := errors.AsType[*client.Problem](err); ok && p.Status == http.StatusUnauthorized { // the key of a running program can't change
				fmt.Fprintf(stderr, "jobhub work: %s; start this worker again with a key of the role worker: JOBHUB_TOKEN=jh_… jobhub work …\n", strings.TrimSuffix(printable(p.Error()), "."))
				return 1
			}
			if err != nil {
				return fail(stderr, "work", c.Base, err)
			}
			return 0
		case <-signals:
			if signalled > 0 {
				r.kill()
				return 1
			}
			w.Logger.Info("stopping", "grace", w.Grace) // the same signal has ended ctx
		}
	}
}
