package main

import (
	"context"
	"flag"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// pagesOptions is for the measurements of the dashboard in a real browser.
type pagesOptions struct {
	place
	part    string        // only this one
	length  time.Duration // of each measurement of latency
	soak    time.Duration // how long pages stay open under load
	loads   int           // of each page, by turns without and with a cache
	viewers []int
}

// pagesParts are run in this order.
var pagesParts = []struct {
	name string
	run  func(*pagesOptions, context.Context, *output) ([]figure, error)
}{
	{"first", (*pagesOptions).first},
	{"paint", (*pagesOptions).paint},
	{"soak", (*pagesOptions).soaked},
	{"viewers", (*pagesOptions).watched},
}

func runPages(ctx context.Context, args []string, o *output) ([]figure, error) {
	var names []string
	for _, p := range pagesParts {
		names = append(names, p.name)
	}
	p := pagesOptions{viewers: []int{1, 1000, 5000}}
	fs := p.flags("pages", o)
	p.programFlag(fs)
	p.pagesFlags(fs, names)
	if err := p.enter(fs, args, o); err != nil {
		return nil, err
	}
	defer p.leave()
	if p.part != "" && !slices.Contains(names, p.part) {
		fmt.Fprintf(o.stderr, "pages: --part is one of %s\n", strings.Join(names, ", "))
		return nil, errFlags
	}
	if missing := missingChromium(); missing != "" && p.part != "viewers" {
		return nil, fmt.Errorf("%s is needed", missing)
	}
	return p.run(ctx, o)
}

func (p *pagesOptions) pagesFlags(fs *flag.FlagSet, parts []string) {
	fs.StringVar(&p.part, "part", "", "only this `part`: "+strings.Join(parts, ", "))
	fs.DurationVar(&p.length, "for", 15*time.Second, "how `long` each latency is measured")
	fs.DurationVar(&p.soak, "soak", 10*time.Minute, "how `long` pages stay open at 200 events/s")
	fs.IntVar(&p.loads, "loads", 10, "how `often` each page is loaded")
}

// missingChromium says what to install; empty if Chromium is there.
func missingChromium() string {
	if _, err := exec.LookPath("chromium"); err != nil {
		return "Chromium (Debian: apt-get install chromium)"
	}
	return ""
}

func (p *pagesOptions) run(ctx context.Context, o *output) (figures []figure, err error) {
	for _, part := range pagesParts {
		if p.part != "" && p.part != part.name {
			continue
		}
		if missing := missingChromium(); missing != "" && part.name != "viewers" {
			o.say("pages %s: left out, as %s is not there", part.name, missing)
			continue
		}
		f, err := part.run(p, ctx, o)
		if err != nil {
			return nil, fmt.Errorf("pages %s: %w", part.name, err)
		}
		figures = append(figures, f...)
	}
	return figures, nil
}
