package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// fanoutOptions are the common options of the measurements of delivery.
type fanoutOptions struct {
	place
	part   string        // only this one
	conns  int           // connections at the most
	length time.Duration // of each measurement at a rate
	stall  time.Duration // how long clients do not read

	patience time.Duration // how long to wait until the memory of closed connections is free
}

// fanoutParts are run in this order.
var fanoutParts = []struct {
	name string
	run  func(*fanoutOptions, context.Context, *output) ([]figure, error)
}{
	{"crowd", (*fanoutOptions).crowd},
	{"narrow", (*fanoutOptions).narrow},
	{"idle", (*fanoutOptions).idle},
	{"store", (*fanoutOptions).store},
	{"stalled", (*fanoutOptions).stalled},
}

func runFanout(ctx context.Context, args []string, o *output) ([]figure, error) {
	var names []string
	for _, p := range fanoutParts {
		names = append(names, p.name)
	}
	f := fanoutOptions{patience: time.Minute}
	fs := f.flags("fanout", o)
	f.programFlag(fs)
	fs.StringVar(&f.part, "part", "", "only this `part`: "+strings.Join(names, ", "))
	fs.IntVar(&f.conns, "conns", 10_000, "`connections` at the most")
	fs.DurationVar(&f.length, "for", 4*time.Second, "how `long` each rate is measured")
	fs.DurationVar(&f.stall, "stall", 35*time.Second, "how `long` the stalled clients do not read; a hub gives up on them after 30 s")
	if err := f.enter(fs, args, o); err != nil {
		return nil, err
	}
	defer f.leave()
	if f.part != "" && !slices.Contains(names, f.part) || f.conns < 100 {
		fmt.Fprintf(o.stderr, "fanout: --part is one of %s, and --conns at least 100\n", strings.Join(names, ", "))
		return nil, errFlags
	}
	return f.run(ctx, o)
}

func (f *fanoutOptions) run(ctx context.Context, o *output) (figures []figure, err error) {
	for _, p := range fanoutParts {
		if f.part != "" && f.part != p.name {
			continue
		}
		part, err := p.run(f, ctx, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		figures = append(figures, part...)
	}
	return figures, nil
}

// goal returns the goal, if there are as many connections as the goals are for.
func (f *fanoutOptions) goal(text string) string {
	if f.conns != 10_000 {
		return ""
	}
	return text
}
