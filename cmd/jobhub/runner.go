package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"jobhub/web/client"
)

// runner runs a command for each attempt.
type runner struct {
	command []string

	mu     sync.Mutex // protects groups
	groups map[*group]bool
}

const (
	stopGrace = 8 * time.Second // between SIGTERM and SIGKILL
	pipeGrace = 2 * time.Second // for output of processes that outlive the command
)

// Exit codes after which a retry is useless, from sysexits.h.
const (
	exUsage   = 64
	exDataErr = 65
)

// run is one attempt: it starts the command and waits for its end.
func (c *runner) run(ctx context.Context, r *client.Run) (any, error) {
	cmd := exec.Command(c.command[0], c.command[1:]...)
	cmd.Env = append(os.Environ(), "JOBHUB_JOB_ID="+r.Job.ID, "JOBHUB_ATTEMPT="+strconv.Itoa(r.Job.Attempt), "JOBHUB_KIND="+r.Job.Kind,
		"JOBHUB_QUEUE="+r.Job.Queue, "JOBHUB_CHECKPOINT="+strings.TrimPrefix(string(r.Job.Checkpoint), "null"))
	cmd.Stdin = bytes.NewReader(append(bytes.Clone(r.Job.Input), '\n'))
	stdout, stderr := &outputLines{run: r, single: true}, &tail{run: r}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr, cmd.WaitDelay = ownGroup(), pipeGrace
	g, err := c.start(cmd)
	if err != nil {
		return nil, err
	}
	defer c.end(g)
	defer context.AfterFunc(ctx, func() {
		g.signal(syscall.SIGTERM)
		time.AfterFunc(stopGrace, func() { g.signal(syscall.SIGKILL) })
	})()
	err = cmd.Wait()
	stdout.end()
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		p := &client.Problem{Title: "The command failed", Detail: cmd.ProcessState.String() + stderr.why(), Code: "command_failed"}
		if code == exUsage || code == exDataErr {
			return nil, client.Permanent(p)
		}
		return nil, p
	}
	if err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		return nil, err
	}
	return stdout.outcome()
}

func (c *runner) start(cmd *exec.Cmd) (*group, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.groups == nil {
		return nil, errors.New("the worker is stopping")
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	g := &group{id: cmd.Process.Pid}
	c.groups[g] = true
	return g, nil
}

// end kills the processes that a command has left running.
func (c *runner) end(g *group) {
	g.signal(syscall.SIGKILL)
	g.mu.Lock()
	g.ended = true
	g.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.groups, g)
}

// kill kills all commands, and prevents new ones from starting.
func (c *runner) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for g := range c.groups {
		g.signal(syscall.SIGKILL)
	}
	c.groups = nil
}

// group is the process group of a command.
type group struct {
	id    int
	mu    sync.Mutex // protects over
	ended bool       // its number may be in use by other processes
}

func (g *group) signal(s syscall.Signal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ended {
		syscall.Kill(-g.id, s)
	}
}

// tail sends what is written to it as output of the stream stderr, and keeps the last bytes.
type tail struct {
	run  *client.Run
	last []byte
}

const maxTail = 1 << 10 // bytes

func (t *tail) Write(p []byte) (int, error) {
	t.run.Output("stderr", p)
	t.last = append(t.last, p...)
	if cut := len(t.last) - maxTail; cut > 0 {
		t.last = append(t.last[:0], t.last[cut:]...)
	}
	return len(p), nil
}

// why returns the last error output of the command, after a colon.
func (t *tail) why() string {
	if text := strings.TrimSpace(strings.ToValidUTF8(string(t.last), "\ufffd")); text != "" {
		return ": " + text
	}
	return ""
}
