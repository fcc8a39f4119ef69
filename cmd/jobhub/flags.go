package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"slices"
	"strings"

	"jobhub/jobs"
	"jobhub/web/client"
)

// notFromEnvironment are flags that no environment variable sets: jobhub work sets variables of
// these names for its command, and a key is for one submission.
var notFromEnvironment = []string{"kind", "queue", "fair-key", "idempotency-key"}

// parseFlags parses args, and sets each flag that is not in args from the environment:
// --egress-allow from JOBHUB_EGRESS_ALLOW. It prints errors itself.
func parseFlags(fs *flag.FlagSet, args []string) error {
	if err := fs.Parse(args); err != nil {
		return err
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	var errs []error
	fs.VisitAll(func(f *flag.Flag) {
		name := "JOBHUB_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := os.LookupEnv(name)
		if !ok || given[f.Name] || slices.Contains(notFromEnvironment, f.Name) {
			return
		}
		if err := fs.Set(f.Name, value); err != nil {
			if _, secret := f.Value.(*secrets); secret {
				value = "…"
			}
			errs = append(errs, fmt.Errorf("%s: the variable %s=%q is invalid for --%s: %w (see --help)", fs.Name(), name, value, f.Name, err))
		}
	})
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(fs.Output(), err)
		return err
	}
	return nil
}

// prefixes is a flag with a comma-separated list of address ranges.
type prefixes []netip.Prefix

func (p *prefixes) String() string {
	texts := make([]string, len(*p))
	for i, prefix := range *p {
		texts[i] = prefix.String()
	}
	return strings.Join(texts, ",")
}

func (p *prefixes) Set(text string) error {
	*p = nil
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			return fmt.Errorf("%q is not a range like 10.0.0.0/8", part)
		}
		*p = append(*p, prefix.Masked())
	}
	return nil
}

// names is a flag with a comma-separated list of texts.
type names []string

func (n *names) String() string { return strings.Join(*n, ",") }

func (n *names) Set(text string) error {
	*n = nil
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			*n = append(*n, part)
		}
	}
	return nil
}

// secrets is a flag with a comma-separated list of signing secrets.
type secrets []jobs.Secret

func (s *secrets) String() string { return "" }

func (s *secrets) Set(text string) error {
	*s = nil
	for part := range strings.SplitSeq(text, ",") {
		secret := jobs.Secret(strings.TrimSpace(part))
		if _, err := secret.Key(); err != nil {
			return err
		}
		*s = append(*s, secret)
	}
	return nil
}

// clientFlags returns the flag set of a command that calls a hub, and the client that --server
// and --token configure.
func clientFlags(name, usage string, stderr io.Writer) (*flag.FlagSet, *client.Client) {
	fs, c := newFlags(name, usage, stderr), &client.Client{}
	fs.StringVar(&c.Base, "server", client.DefaultBase, "`URL` of the hub")
	fs.StringVar(&c.Token, "token", "", "`key` for the hub; better set JOBHUB_TOKEN, as other users of this machine can see flags")
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

// parseClient returns the arguments that are not flags. If ok is false, the command ends with
// that exit code.
func parseClient(fs *flag.FlagSet, args []string) (rest []string, code int, ok bool) {
	switch err := parseFlags(fs, flagsFirst(fs, args)); {
	case errors.Is(err, flag.ErrHelp):
		return nil, 0, false
	case err != nil:
		return nil, 2, false
	}
	return fs.Args(), 0, true
}

// flagsFirst moves other arguments after the flags: package flag stops at the first of them,
// but people write flags last.
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
