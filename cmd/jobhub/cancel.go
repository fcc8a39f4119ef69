package main

import (
	"context"
	"fmt"
	"io"
)

const cancelUsage = `Usage: jobhub cancel ID… [flags]

Cancels jobs. The worker of a running job is told to stop; a finished job does not change.

`

func runCancel(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs, c := clientFlags("cancel", cancelUsage, stderr)
	ids, code, ok := parseClient(fs, args)
	if !ok {
		return code
	}
	if len(ids) == 0 {
		fmt.Fprintln(stderr, "jobhub cancel: want the ID of at least one job; `jobhub jobs` lists them")
		return 2
	}
	for _, id := range ids {
		switch j, err := c.Cancel(ctx, id); {
		case err != nil:
			code = fail(stderr, "cancel "+printable(id), c.Base, err)
		case j.State == "cancelled":
			fmt.Fprintln(stdout, j.ID, "cancelled")
		case j.Final():
			fmt.Fprintln(stdout, j.ID, "is already finished:", j.State)
		default:
			fmt.Fprintln(stdout, j.ID, j.State+", told to stop")
		}
	}
	return code
}
