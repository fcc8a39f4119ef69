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
  stdout   each line becomes output of the job, but for those that say
             ::progress 40 page 4 of 10     how far it is, in percent
             ::checkpoint JSON              what a next attempt can go on from
             ::result JSON                  the job's result
           Without ::result the result is all of stdout if that is one JSON value,
           else {"exit":0}. A line of more than 64 KiB is sent in pieces.
  stderr   becomes output, too
  exit     0        the job succeeded
           64, 65   it failed for good: wrong usage (EX_USAGE), bad input (EX_DATAERR)
           others   the attempt failed and is repeated as the job's retry says; 75
                    (EX_TEMPFAIL), death by a signal and all other codes alike

  JOBHUB_JOB_ID, JOBHUB_ATTEMPT (from 1), JOBHUB_KIND, JOBHUB_QUEUE and JOBHUB_CHECKPOINT
  (JSON; empty if there is none) tell COMMAND about its job.

When a job is cancelled, out of time or given to another worker, COMMAND and all that it
has started get SIGTERM, and SIGKILL after 8 s. Nothing that it leaves running in its
process group outlives it.

A hub with keys wants one of the role worker, as JOBHUB_TOKEN or --token. Where the hub
refuses the key, or none was given, the worker ends and says so; start it again with a
good one.

SIGTERM ends the worker: it takes no further jobs, lets those that run finish within
--grace, and gives the rest back, which costs them no attempt. A second SIGTERM ends it at
once; its jobs run elsewhere when their leases are over.

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
	fs.IntVar(&w.Slots, "slots", 1, "how many run at the same time")
	fs.StringVar(&w.Name, "name", "", "`name` of this worker for people (default COMMAND@HOST)")
	fs.DurationVar(&w.Grace, "grace", 10*time.Second, "how long jobs may finish when the worker is told to end")
	fs.TextVar(&level, "log", slog.LevelInfo, "least `level` of what is logged: debug, info, warn or error")
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
	for told := 0; ; told++ {
		select {
		case err := <-ended:
			if p, ok := errors.AsType[*client.Problem](err); ok && p.Status == http.StatusUnauthorized { // no key comes into a program that runs
				fmt.Fprintf(stderr, "jobhub work: %s; start this worker again with a key of the role worker: JOBHUB_TOKEN=jh_… jobhub work …\n", strings.TrimSuffix(printable(p.Error()), "."))
				return 1
			}
			if err != nil {
				return fail(stderr, "work", c.Base, err)
			}
			return 0
		case <-signals:
			if told > 0 {
				r.kill()
				return 1
			}
			w.Logger.Info("ending", "grace", w.Grace) // the same signal has ended ctx
		}
	}
}
