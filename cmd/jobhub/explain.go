package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"

	"github.com/go-json-experiment/json"

	"jobhub/web/client"
)

const explainUsage = `Usage: jobhub explain METHOD URL [-H "NAME: VALUE"]... [--body TEXT]

Shows what each stage of the hub decides about a request, without sending it: which route it
takes, who sends it, whether the caller may, and where it goes. URL is a URL or a path. The
request is explained as that of the key in --token, unless -H gives other credentials.

`

func runExplain(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	fs, c := clientFlags("explain", explainUsage, stderr)
	header := http.Header{}
	fs.Func("H", "a `header` of the request, like \"Accept: application/json\"; may be repeated", func(text string) error {
		name, value, ok := strings.Cut(text, ":")
		if !ok {
			return fmt.Errorf("want NAME: VALUE")
		}
		header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		return nil
	})
	body := fs.String("body", "", "the `text` of its body")
	asJSON := fs.Bool("json", false, "print the answer of the hub as JSON")
	args, code, ok := parseClient(fs, args)
	if !ok {
		return code
	}
	if len(args) != 2 {
		fmt.Fprintln(stderr, "jobhub explain: want METHOD and URL, like GET /api/orders/7")
		return 2
	}
	if c.Token != "" && header.Get("Authorization") == "" && header.Get("Jobhub-Key") == "" {
		header.Set("Jobhub-Key", c.Token)
	}
	e, err := c.Explain(ctx, strings.ToUpper(args[0]), args[1], header, *body)
	if err != nil {
		return fail(stderr, "explain", c.Base, err)
	}
	if *asJSON {
		if err := json.MarshalWrite(stdout, e); err == nil {
			fmt.Fprintln(stdout)
		}
		return 0
	}
	printExplanation(stdout, e)
	return 0
}

func printExplanation(w io.Writer, e client.Explanation) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "STAGE\tVERDICT\tDETAIL")
	for _, s := range e.Stages {
		fmt.Fprintf(table, "%s\t%s\t%s\n", s.Stage, s.Verdict, printable(s.Detail))
	}
	table.Flush()
	if e.Status != 0 {
		fmt.Fprintf(w, "\nThe hub would answer with %d %s.\n", e.Status, http.StatusText(e.Status))
	}
}
