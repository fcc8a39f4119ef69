package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"jobhub/web/client"
)

const bulkUsage = `Usage: jobhub bulk cancel|retry|delete|run [flags]

Acts on all jobs that the flags select and whose state allows the action. The hub does
this in a job of its own, whose id is printed. cancel cancels unfinished jobs, retry
submits finished jobs again that have no retry yet (by default those that failed or were
cancelled), delete deletes finished jobs, and run queues scheduled jobs at once.

`

func runBulk(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var b client.Bulk
	fs, c := clientFlags("bulk", bulkUsage, stderr)
	states := fs.String("state", "", "`states`, like queued,running")
	fs.StringVar(&b.Queue, "queue", "", "`queue` of the jobs")
	fs.StringVar(&b.Kind, "kind", "", "`kind` of the jobs")
	fs.StringVar(&b.Tag, "tag", "", "`tag` of the jobs")
	fs.StringVar(&b.Parent, "parent", "", "`id` of their parent job")
	fs.StringVar(&b.Text, "text", "", "`text` that they contain")
	all := fs.Bool("all", false, "all jobs; required if no other flag selects them")
	dryRun := fs.Bool("dry-run", false, "only print how many jobs are selected")
	wait := fs.Bool("wait", false, "wait for the end and print what was done")
	args, code, ok := parseClient(fs, args)
	if !ok {
		return code
	}
	if len(args) != 1 {
		fmt.Fprintln(stderr, "jobhub bulk: want one of cancel, retry, delete, run")
		return 2
	}
	if *states != "" {
		b.States = strings.Split(*states, ",")
	}
	if selects := *states + b.Queue + b.Kind + b.Tag + b.Parent + b.Text; (selects == "") != *all {
		fmt.Fprintln(stderr, "jobhub bulk: select jobs by --state, --queue, --kind, --tag, --parent or --text, or give --all and none of these")
		return 2
	}
	b.Action = args[0]
	if *dryRun {
		n, err := c.CountBulk(ctx, b)
		if err != nil {
			return fail(stderr, "bulk", c.Base, err)
		}
		fmt.Fprintln(stdout, n)
		return 0
	}
	j, err := c.Bulk(ctx, b)
	if err != nil {
		return fail(stderr, "bulk", c.Base, err)
	}
	if !*wait {
		fmt.Fprintln(stdout, j.ID)
		return 0
	}
	id := j.ID
	if j, err = c.Wait(ctx, id); err != nil {
		fmt.Fprintf(stderr, "The bulk job continues; watch it with: jobhub watch %s\n", id)
		return fail(stderr, "bulk", c.Base, err)
	}
	printResult(stdout, stderr, j)
	if j.State != "succeeded" {
		return 1
	}
	return 0
}
