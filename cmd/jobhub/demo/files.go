package demo

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"jobhub/web/client"
)

// Kind and queue of the jobs for files.
const (
	FileKind  = "file.digest"
	FileQueue = "files"
)

const (
	fileEvery = 2 * time.Second // on average, between two jobs for files
	mostFiles = 10_000
)

// listFiles lists the files in a folder and its subfolders, by absolute path.
func listFiles(dir string) (files []string, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil && path == dir:
			return err
		case err != nil || !entry.Type().IsRegular():
			return nil // leave out files that can't be read
		case len(files) == mostFiles:
			return fs.SkipAll
		}
		files = append(files, path)
		return nil
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("there are no files in %s", dir)
	}
	return files, err
}

// startWorker starts a worker in a process of its own, and returns a function that stops it.
func startWorker(cmd *exec.Cmd) (stop func(), err error) {
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("the worker can't be started: %w", err)
	}
	return func() {
		cmd.Process.Signal(syscall.SIGTERM)
		late := time.AfterFunc(settleTime, func() { cmd.Process.Kill() })
		defer late.Stop()
		if err := cmd.Wait(); err != nil {
			slog.Warn("the worker of the demo exited with an error", "error", err)
		}
	}, nil
}

// actFiles submits a job for one file after the other, until ctx is done.
func (d *demo) actFiles(ctx context.Context) {
	rng := stream(d.seed, "files")
	order := rng.Perm(len(d.files))
	for n := uint64(1); ; n++ {
		path := d.files[order[(n-1)%uint64(len(order))]]
		if !sleep(ctx, time.Duration(min(rng.ExpFloat64(), 4)*float64(fileEvery))) {
			return
		}
		in := struct {
			Path string `json:"path"`
		}{path}
		d.submit(ctx, client.Submission{Kind: FileKind, Queue: FileQueue, Input: in, Tags: []string{d.ledger.tag, "file"}}, fmt.Sprintf("files-%d", n))
	}
}
