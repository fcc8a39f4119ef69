package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"jobhub/web/client"
	"jobhub/web/clip"
)

const submitUsage = `Usage: jobhub submit KIND [INPUT-JSON | -] [flags]
       jobhub submit http URL [flags]

Submits a job. The input is given as JSON, or read from standard input for "-".

`

func runSubmit(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var s client.Submission
	fs, c := clientFlags("submit", submitUsage, stderr)
	fs.StringVar(&s.Queue, "queue", "", "`queue` to put the job in (default \"default\")")
	fs.Func("tag", "`tag` of the job; may be repeated", func(tag string) error { s.Tags = append(s.Tags, tag); return nil })
	fs.IntVar(&s.Priority, "priority", 0, "from -100 to 100, higher first")
	fs.DurationVar(&s.Delay, "delay", 0, "how long to wait before it is queued")
	fs.Func("run-at", "`time` when it is queued, like 2026-01-02T15:04:05Z", func(text string) (err error) {
		s.RunAt, err = time.Parse(time.RFC3339, text)
		return err
	})
	fs.BoolFunc("unique", "submit only if there is no unfinished job of this kind, queue and input; else print that one", func(string) error { s.Unique = &client.Unique{}; return nil })
	fs.DurationVar(&s.Timeout, "timeout", 0, "of one attempt (default 5m)")
	fs.StringVar(&s.FairKey, "fair-key", "", "`key` that takes turns with other fair keys in the queue, under its per_key limit")
	key := fs.String("idempotency-key", "", "`key` of this submission: submitting again with it gives the same job")
	wait := fs.Bool("wait", false, "wait for the end and print the result; exit code 0 only if the job succeeded")
	asJSON := fs.Bool("json", false, "print the job's whole document")
	args, code, ok := parseClient(fs, args)
	if !ok {
		return code
	}
	if len(args) < 1 || len(args) > 2 {
		fmt.Fprintf(stderr, "jobhub submit: want a KIND and at most one INPUT, got %d arguments\n", len(args))
		fs.Usage()
		return 2
	}
	s.Kind = args[0]
	if len(args) == 2 {
		input, err := readInput(s.Kind, args[1], os.Stdin)
		if err != nil {
			fmt.Fprintln(stderr, "jobhub submit:", err)
			return 2
		}
		s.Input = input
	}

	j, err := c.Submit(ctx, s, *key)
	if err != nil {
		return fail(stderr, "submit", c.Base, err)
	}
	if *wait {
		id := j.ID
		if j, err = c.Wait(ctx, id); err != nil {
			fmt.Fprintf(stderr, "The job was accepted and continues; watch it with: jobhub watch %s\n", id)
			return fail(stderr, "submit", c.Base, err)
		}
	}
	switch {
	case *asJSON:
		fmt.Fprintln(stdout, j.Raw)
	case *wait:
		printResult(stdout, stderr, j)
	default:
		fmt.Fprintln(stdout, j.ID)
		printLink(stdout, "job", c.Base, j.Links.Self)
		printLink(stdout, "response", c.Base, j.Links.Response)
		printLink(stdout, "page", c.Base, j.Links.HTML)
	}
	if *wait && j.State != "succeeded" {
		return 1
	}
	return 0
}

// readInput returns a job's input. For kind http a URL means a GET request.
func readInput(kind, arg string, stdin io.Reader) (jsontext.Value, error) {
	if kind == "http" && (strings.HasPrefix(arg, "http://") || strings.HasPrefix(arg, "https://")) {
		quoted, err := jsontext.AppendQuote(nil, arg)
		return jsontext.Value(`{"method":"GET","url":` + string(quoted) + `}`), err
	}
	text := []byte(arg)
	if arg == "-" {
		var err error
		if text, err = io.ReadAll(stdin); err != nil {
			return nil, err
		}
	}
	input := jsontext.Value(text)
	if !input.IsValid() {
		return nil, fmt.Errorf("the input is not JSON: %s\nA text needs double quotes inside the shell's quotes: '\"text\"'", clip.Shorten(string(text), 80))
	}
	return input, nil
}

func printLink(w io.Writer, name, server, path string) {
	if path != "" {
		fmt.Fprintf(w, "  %-9s %s%s\n", name, strings.TrimRight(server, "/"), path)
	}
}
