package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"

	"jobhub/cmd/jobhub/app"
	"jobhub/jobs/egress"
	"jobhub/web/config"
)

const checkUsage = `Usage: jobhub check [--addr ADDRESS] [--egress-allow RANGES] CONFIG

Reads a configuration file as serve does, and reports all errors in it and routes that
share paths with the hub. Exits with 1 if there is an error.

  -addr ADDRESS
    	address that serve listens on: a route that leads there is an error. Without
    	it, there is a note for a route to serve's default, 127.0.0.1:8080
  -egress-allow RANGES
    	the same flag of serve, if it is used; it replaces egress.allow of the file
`

func runCheck(_ context.Context, args []string, stdout, stderr io.Writer) int {
	fs := flag.NewFlagSet("jobhub check", flag.ContinueOnError)
	fs.SetOutput(stderr)
	var allow []netip.Prefix
	fs.Var((*prefixes)(&allow), "egress-allow", "the same `ranges` as for serve, if that has the flag; they replace egress.allow of the file")
	fs.Usage = func() { fmt.Fprint(stderr, checkUsage) }
	addr := fs.String("addr", "", "`ADDRESS` that serve listens on")
	if err := parseFlags(fs, args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if fs.NArg() != 1 {
		fmt.Fprint(stderr, checkUsage)
		return 2
	}
	c, notes, err := app.LoadConfig(fs.Arg(0), allow)
	if err == nil {
		at, e := net.ResolveTCPAddr("tcp", cmp.Or(*addr, app.DefaultAddr))
		if e != nil {
			fmt.Fprintf(stderr, "jobhub check: --addr %q: write it like 127.0.0.1:8080\n", *addr)
			return 2
		}
		own := new(egress.Own)
		own.Set(at)
		switch loops := c.Loops(own); {
		case len(loops) > 0 && *addr != "":
			err = loops
		case len(loops) > 0:
			notes = append(notes, loops.Error())
		}
	}
	if err == nil {
		notes = append(c.SharedHosts(), notes...)
	}
	for _, note := range notes {
		fmt.Fprintln(stdout, "note:", note)
	}
	if err != nil {
		fmt.Fprintln(stderr, err)
		if all, ok := errors.AsType[config.Errors](err); ok {
			fmt.Fprintln(stderr, plural(len(all), "error"))
		}
		return 1
	}
	fmt.Fprintf(stdout, "%s is valid: %s, %s\n", fs.Arg(0), plural(len(c.Routes), "route"), plural(len(c.Queues), "queue"))
	return 0
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
