package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// errFlags means that the command line was wrong; the error was printed already.
var errFlags = errors.New("wrong flags")

// place is where a command measures: a folder of its own on the disk to measure, and the
// program under test.
type place struct {
	dir    string // parent of folder
	jobhub string // program under test; built when empty
	folder string // removed by leave
}

// flags returns a flag set with the flags that all measurements have.
func (p *place) flags(name string, o *output) *flag.FlagSet {
	fs := flag.NewFlagSet("jobhub-bench "+name, flag.ContinueOnError)
	fs.SetOutput(o.stderr)
	fs.StringVar(&p.dir, "dir", os.TempDir(), "`folder` on the disk to measure; a folder is made in it and removed")
	fs.StringVar(&o.file, "json", "", "also write the figures to `file` as JSON")
	return fs
}

// programFlag adds the flag of the measurements that start the program.
func (p *place) programFlag(fs *flag.FlagSet) {
	fs.StringVar(&p.jobhub, "jobhub", "", "`program` to measure (default: build it from the module jobhub)")
}

// enter reads the flags and makes the folder. Call leave after it.
func (p *place) enter(fs *flag.FlagSet, args []string, o *output) error {
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return errFlags
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(o.stderr, "%s: unexpected %q; it takes only flags\n", fs.Name(), fs.Arg(0))
		return errFlags
	}
	if o.machine = thisMachine(p.dir); o.machine.FileSystem == "tmpfs" {
		return fmt.Errorf("--dir %s is kept in memory, where nothing is durable: choose a folder on a disk", p.dir)
	}
	folder, err := os.MkdirTemp(p.dir, "jobhub-bench-")
	if err != nil {
		return err
	}
	p.folder, err = filepath.Abs(folder)
	return err
}

func (p *place) leave() {
	if p.folder != "" {
		os.RemoveAll(p.folder)
	}
}

// program is the path of the program under test.
func (p *place) program(ctx context.Context) (string, error) {
	if p.jobhub == "" {
		path := filepath.Join(p.folder, "jobhub")
		if err := build(ctx, path); err != nil {
			return "", err
		}
		p.jobhub = path
	}
	return p.jobhub, nil
}

// sub returns a new folder for a store.
func (p *place) sub() (string, error) { return os.MkdirTemp(p.folder, "data-") }
