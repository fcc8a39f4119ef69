package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"

	"jobhub/web/client"
)

const queuesUsage = `Usage: jobhub queues [flags]
       jobhub queues pause NAME [--reason TEXT]
       jobhub queues resume NAME
       jobhub queues set NAME [--concurrency N] [--rate 10/s] [--capacity N] [--per-key N] [--queue-timeout 30s]

Lists queues, or changes one. A queue is created when it is first used. The value 0, or an
empty text for rate and queue timeout, removes a limit.

`

func runQueues(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs, c := clientFlags("queues", queuesUsage, stderr)
	reason := fs.String("reason", "", "why the queue is paused")
	var limits client.QueueLimits
	number := func(name, usage string, to **int) {
		fs.Func(name, usage, func(text string) error {
			n, err := strconv.Atoi(text)
			if err != nil || n < 0 {
				return fmt.Errorf("want a whole number")
			}
			*to = &n
			return nil
		})
	}
	number("concurrency", "how many `jobs` run at the same time", &limits.Concurrency)
	number("capacity", "how many unfinished `jobs` the queue takes; more are refused", &limits.Capacity)
	number("per-key", "how many `jobs` of one key run at the same time", &limits.PerKey)
	fs.Func("rate", "how many jobs start in a `time`, like 10/s, 100/m or 5/30s", func(text string) error { limits.Rate = &text; return nil })
	fs.Func("queue-timeout", "how `long` jobs may wait that have no queue timeout of their own", func(text string) error { limits.QueueTimeout = &text; return nil })
	args, code, ok := parseClient(fs, args)
	if !ok {
		return code
	}
	var queues []client.Queue
	var err error
	switch verb := append(args, "")[0]; {
	case len(args) == 0:
		queues, err = c.Queues(ctx)
	case len(args) == 2 && verb == "pause":
		queues, err = single(c.PauseQueue(ctx, args[1], *reason))
	case len(args) == 2 && verb == "resume":
		queues, err = single(c.ResumeQueue(ctx, args[1]))
	case len(args) == 2 && verb == "set" && limits != client.QueueLimits{}:
		queues, err = single(c.SetQueue(ctx, args[1], limits))
	default:
		fmt.Fprintln(stderr, "jobhub queues: want nothing, pause NAME, resume NAME, or set NAME and a limit")
		return 2
	}
	if err != nil {
		return fail(stderr, "queues", c.Base, err)
	}
	printQueues(stdout, queues)
	return 0
}

func single(q client.Queue, err error) ([]client.Queue, error) { return []client.Queue{q}, err }

func printQueues(w io.Writer, queues []client.Queue) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "QUEUE\tQUEUED\tRUNNING\tLATER\tFAILED\tOLDEST\tIN/s\tOUT/s\tCONCURRENCY\tRATE\tCAPACITY\tPER KEY\tPAUSED")
	for _, q := range queues {
		oldest, paused := "-", ""
		if q.Oldest != nil {
			d := time.Duration(*q.Oldest) * time.Millisecond
			if oldest = d.String(); d > time.Minute {
				oldest = d.Round(time.Second).String()
			}
		}
		if q.Paused {
			paused = printable(fmt.Sprintf("%s by %s: %s", q.Pause.At.Local().Format(time.DateTime), q.Pause.By, q.Pause.Reason))
		}
		s, l := q.States, q.Limits
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%s\t%.1f\t%.1f\t%s\t%s\t%s\t%s\t%s\n", q.Name, s["queued"], s["running"], s["scheduled"]+s["retrying"]+s["waiting"],
			s["failed"], oldest, q.Rates.In, q.Rates.Out, limit(l.Concurrency), limit(l.Rate), limit(l.Capacity), limit(l.PerKey), paused)
	}
	table.Flush()
}

// limit is a limit for people; - for none.
func limit[T any](l *T) string {
	if l == nil {
		return "-"
	}
	return fmt.Sprint(*l)
}
