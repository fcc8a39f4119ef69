package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"jobhub/web/client"
)

const jobsUsage = `Usage: jobhub jobs [flags]

Lists jobs, newest first.

`

func runJobs(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs, c := clientFlags("jobs", jobsUsage, stderr)
	var o client.ListOptions
	states := fs.String("state", "", "`states`, like queued,running")
	fs.StringVar(&o.Queue, "queue", "", "`queue` they are in")
	fs.StringVar(&o.Kind, "kind", "", "`kind` they have")
	fs.StringVar(&o.Tag, "tag", "", "`tag` they have")
	limit := fs.Int("limit", 50, "the largest number of jobs to list")
	asJSON := fs.Bool("json", false, "print each job's document, one per line")
	args, code, ok := parseClient(fs, args)
	if !ok {
		return code
	}
	if len(args) > 0 || *limit < 1 {
		fmt.Fprintln(stderr, "jobhub jobs: takes only flags, and a --limit of at least 1")
		return 2
	}
	if *states != "" {
		o.States = strings.Split(*states, ",")
	}

	table := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', 0)
	for left := *limit; left > 0; {
		o.Limit = min(left, 500) // the limit of the API
		page, err := c.Jobs(ctx, o)
		if err != nil {
			table.Flush()
			return fail(stderr, "jobs", c.Base, err)
		}
		if o.Cursor == "" && !*asJSON {
			fmt.Fprintln(table, "ID\tSTATE\tQUEUE\tKIND\tATTEMPT\tCREATED\tTAGS")
		}
		for _, j := range page.Jobs {
			if *asJSON {
				fmt.Fprintln(stdout, j.Raw)
				continue
			}
			state := j.State
			if j.Reason != "" {
				state += "/" + j.Reason
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d/%d\t%s\t%s\n", j.ID, state, j.Queue, j.Kind, j.Attempt, j.MaxAttempts,
				j.CreatedAt.Local().Format(time.DateTime), printable(strings.Join(j.Tags, ",")))
		}
		left -= len(page.Jobs)
		if o.Cursor = page.NextCursor; o.Cursor == "" || len(page.Jobs) == 0 {
			break
		}
	}
	table.Flush()
	if o.Cursor != "" && !*asJSON {
		fmt.Fprintf(stderr, "There are more; see them with --limit %d.\n", 10**limit)
	}
	return 0
}
