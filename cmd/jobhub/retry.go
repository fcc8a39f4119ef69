package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"jobhub/web/client"
)

const retryUsage = `Usage: jobhub retry ID… [flags]

Submits finished jobs again. Each becomes a new job, whose id is printed after that of
the old one; the old one does not change. If it has a retry already, that one is printed,
unless --again asks for another.

`

func runRetry(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs, c := clientFlags("retry", retryUsage, stderr)
	targets := fs.String("targets", "", "of a fan-out, call only these `targets` again; separated by commas")
	again := fs.Bool("again", false, "make another retry of jobs that have one")
	ids, code, ok := parseClient(fs, args)
	if !ok {
		return code
	}
	if len(ids) == 0 {
		fmt.Fprintln(stderr, "jobhub retry: want the ID of at least one job; `jobhub jobs --state failed` lists them")
		return 2
	}
	o := client.RetryOptions{Again: *again}
	if *targets != "" {
		o.Targets = strings.Split(*targets, ",")
	}
	for _, id := range ids {
		j, err := c.Retry(ctx, id, o)
		if err != nil {
			code = fail(stderr, "retry "+printable(id), c.Base, err)
			continue
		}
		fmt.Fprintln(stdout, id, "again as", j.ID)
	}
	return code
}
