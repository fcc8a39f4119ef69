package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

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
	limit := fs.Int("limit", 50, "at most so many")
	asJSON := fs.Bool("json", false, "print each job's document, one a line")
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
		o.Limit = min(left, 500) // the most that the API gives at once
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

// The rest of this file is what all commands that call a hub share.

// clientFlags returns the flags of such a command, and the client that --server and
// --token describe.
func clientFlags(name, usage string, stderr io.Writer) (*flag.FlagSet, *client.Client) {
	fs, c := newFlags(name, usage, stderr), &client.Client{}
	fs.StringVar(&c.Base, "server", client.DefaultBase, "`URL` of the hub")
	fs.StringVar(&c.Token, "token", "", "`key` to show to the hub; better set JOBHUB_TOKEN, as others on this machine see flags")
	return fs, c
}

func newFlags(name, usage string, stderr io.Writer) *flag.FlagSet {
	fs := flag.NewFlagSet("jobhub "+name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprint(stderr, usage, "Flags:\n")
		fs.PrintDefaults()
	}
	return fs
}

// parseClient returns the arguments that are no flags; if not ok, the command ends
// with that exit code.
func parseClient(fs *flag.FlagSet, args []string) (rest []string, code int, ok bool) {
	switch err := parseFlags(fs, flagsFirst(fs, args)); {
	case errors.Is(err, flag.ErrHelp):
		return nil, 0, false
	case err != nil:
		return nil, 2, false
	}
	return fs.Args(), 0, true
}

// flagsFirst moves what is no flag behind the flags: package flag stops at the
// first argument, but people write the flags last.
func flagsFirst(fs *flag.FlagSet, args []string) []string {
	var flags, rest []string
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			rest = append(rest, args[i+1:]...)
			break
		}
		if len(arg) < 2 || arg[0] != '-' {
			rest = append(rest, arg)
			continue
		}
		flags = append(flags, arg)
		name, _, hasValue := strings.Cut(strings.TrimLeft(arg, "-"), "=")
		f := fs.Lookup(name)
		if f == nil || hasValue {
			continue
		}
		if b, ok := f.Value.(interface{ IsBoolFlag() bool }); ok && b.IsBoolFlag() {
			continue
		}
		if i++; i == len(args) {
			return flags // package flag will say that the value is missing
		}
		flags = append(flags, args[i])
	}
	return append(append(flags, "--"), rest...)
}

// fail prints an error and what to do about it, and returns the exit code.
func fail(stderr io.Writer, command, server string, err error) int {
	if errors.Is(err, context.Canceled) {
		return 130 // as a shell reports an interrupted program
	}
	text := printable(err.Error())
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		text = fmt.Sprintf("no hub answers at %s (%v); start one with `jobhub serve` or give --server", server, op.Err)
	} else if p, ok := errors.AsType[*client.Problem](err); ok && p.RetryAfter > 0 {
		text += fmt.Sprintf("; try again in %s", p.RetryAfter)
	}
	fmt.Fprintf(stderr, "jobhub %s: %s\n", command, text)
	return 1
}

// terminal reports whether w is a screen, where lines may be coloured and rewritten.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// printable makes a text from elsewhere safe for a terminal, on one line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return '·'
		}
		return r
	}, s)
}

func shorten(s string, most int) string {
	if r := []rune(s); len(r) > most {
		return string(r[:most-1]) + "…"
	}
	return s
}
