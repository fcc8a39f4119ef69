package main

import (
	"io"
	"slices"
	"strings"
	"testing"
)

func TestFlagsFirst(t *testing.T) {
	for line, want := range map[string]string{
		"":                            "--",
		"a b":                         "-- a b",
		"a --name x b -yes":           "--name x -yes -- a b",
		"--name=x a":                  "--name=x -- a",
		"a - --n -5":                  "--n -5 -- a -",
		"--yes a -- --name":           "--yes -- a --name",
		"a --name":                    "--name",
		"--nobody knows --name known": "--nobody --name known -- knows",
	} {
		fs := newFlags("test", "", io.Discard)
		fs.String("name", "", "")
		fs.Bool("yes", false, "")
		fs.Int("n", 0, "")
		if got := flagsFirst(fs, strings.Fields(line)); !slices.Equal(got, strings.Fields(want)) {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}
