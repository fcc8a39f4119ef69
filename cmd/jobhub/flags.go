package main

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"jobhub/jobs"
)

// ofOneCall are flags that no variable sets: jobhub work sets these variables for its
// command, and a key is for one submission.
var ofOneCall = []string{"kind", "queue", "fair-key", "idempotency-key"}

// parseFlags parses args, and takes each flag that is not among them from the
// environment: --egress-allow from JOBHUB_EGRESS_ALLOW. It reports errors itself.
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
		if !ok || given[f.Name] || slices.Contains(ofOneCall, f.Name) {
			return
		}
		if err := fs.Set(f.Name, value); err != nil {
			if _, secret := f.Value.(*secrets); secret {
				value = "…"
			}
			errs = append(errs, fmt.Errorf("%s: the variable %s=%q is not a good --%s: %w (see --help)", fs.Name(), name, value, f.Name, err))
		}
	})
	if err := errors.Join(errs...); err != nil {
		fmt.Fprintln(fs.Output(), err)
		return err
	}
	return nil
}

// prefixes is a flag of address ranges with commas between them.
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

// names is a flag of texts with commas between them.
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

// secrets is a flag of signing secrets with commas between them.
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
