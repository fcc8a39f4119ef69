package main

import (
	"fmt"
	"io"
	"strings"

	"jobhub/web/client"
)

// printResult prints the result of a finished job, or why there is none.
func printResult(stdout, stderr io.Writer, j client.Job) {
	if len(j.Result) > 0 && j.Result.Kind() != 'n' {
		fmt.Fprintln(stdout, j.Result)
	}
	if j.State != "succeeded" {
		fmt.Fprintf(stderr, "%s %s: %s\n", j.ID, j.State, printable(why(j.Reason, j.Error)))
	}
}

// why returns in one line why a job did not succeed.
func why(reason string, problem *client.Problem) string {
	if problem == nil {
		return reason
	}
	return strings.TrimPrefix(reason+": ", ": ") + problem.Error()
}
