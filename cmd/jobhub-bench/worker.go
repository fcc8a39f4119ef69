package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync/atomic"
	"time"
)

// worker is `jobhub-bench worker` in another process: it runs the jobs of one system and
// reports how many have finished there.
type worker struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	done chan struct{} // closed when it has ended
	runs int           // jobs that it ran, from its last report
	err  error         // why it ended
}

// startWorker starts a worker and returns when it is ready. It calls finish with the number of
// finished jobs whenever that has changed.
func startWorker(ctx context.Context, system, addr string, finish func(total int)) (*worker, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	w := &worker{cmd: exec.CommandContext(ctx, self, "worker", "--system", system, "--addr", addr), done: make(chan struct{})}
	w.cmd.Stderr = os.Stderr
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan struct{})
	go func() {
		defer close(w.done)
		lines := bufio.NewScanner(out)
		for first := true; lines.Scan(); first = false {
			if first {
				close(ready)
			}
			var finished int
			if _, err := fmt.Sscan(lines.Text(), &finished, &w.runs); err != nil {
				w.err = fmt.Errorf("the worker said %q", lines.Text())
				break
			}
			finish(finished)
		}
		w.err = errors.Join(w.err, w.cmd.Wait())
	}()
	select {
	case <-ready:
		return w, nil
	case <-w.done:
		return nil, fmt.Errorf("the worker of %s did not start: %w", system, w.err)
	}
}

// stop lets the worker end, and returns how many jobs it ran.
func (w *worker) stop() (runs int, err error) {
	w.in.Close()
	select {
	case <-w.done:
		return w.runs, w.err
	case <-time.After(30 * time.Second):
		w.kill()
		return 0, errors.New("the worker did not stop within 30 s")
	}
}

// kill ends the worker if it still runs.
func (w *worker) kill() {
	w.in.Close()
	w.cmd.Process.Kill()
	<-w.done
}

// staff is a worker within its process.
type staff struct {
	finished func() (int, error) // returns how many jobs are finished durably in the system
	stop     func() error
}

// runWorker is the process of a worker. It runs until its input ends.
func runWorker(ctx context.Context, args []string, o *output) (_ []figure, err error) {
	fs := flag.NewFlagSet("jobhub-bench worker", flag.ContinueOnError)
	system := fs.String("system", "", "jobhub, jobhub-client, asynq or river")
	addr := fs.String("addr", "", "of the system")
	if err := fs.Parse(args); err != nil {
		return nil, errFlags
	}
	hire, ok := map[string]func(context.Context, string, *atomic.Int64) (*staff, error){"jobhub": workHub, "jobhub-client": workHubClient, "asynq": workAsynq, "river": workRiver}[*system]
	if !ok {
		return nil, fmt.Errorf("there is no worker for %q", *system)
	}
	var runs atomic.Int64
	s, err := hire(ctx, *addr, &runs)
	if err != nil {
		return nil, err
	}
	told := make(chan error, 1)
	ended, over := make(chan struct{}), make(chan struct{})
	go func() { told <- tell(o.stdout, s.finished, &runs, ended) }()
	go func() { // after an error it may run as long as the process
		io.Copy(io.Discard, os.Stdin)
		close(over)
	}()
	select {
	case <-over:
		err = s.stop()
		close(ended)
		return nil, errors.Join(err, <-told)
	case err := <-told:
		return nil, errors.Join(err, s.stop())
	}
}

// tell writes how many jobs have finished and were run, whenever that has changed, and once
// more at the end.
func tell(out io.Writer, finished func() (int, error), runs *atomic.Int64, ended <-chan struct{}) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for last := -1; ; {
		over := false
		select {
		case <-ended:
			over = true
		case <-tick.C:
		}
		n, err := finished()
		if err != nil {
			return err
		}
		if n != last || over {
			fmt.Fprintln(out, n, runs.Load())
			last = n
		}
		if over {
			return nil
		}
	}
}
