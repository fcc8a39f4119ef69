package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// build builds the program like a release, with the versions of its own module.
func build(ctx context.Context, path string) error {
	where := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "jobhub")
	dir, err := where.Output()
	if err != nil {
		return fmt.Errorf("the module jobhub was not found; run this in its folder cmd/jobhub-bench, or name a program with --jobhub: %w", err)
	}
	c := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", path, "./cmd/jobhub")
	c.Dir = strings.TrimSpace(string(dir))
	if text, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("building jobhub: %w\n%s", err, text)
	}
	return nil
}

// process is a running hub.
type process struct {
	cmd  *exec.Cmd
	addr string       // host and port
	log  bytes.Buffer // may be read when the process has ended
	done chan error
}

// serve starts `jobhub serve` on a data folder and a free port.
func serve(ctx context.Context, program, data string, args ...string) (*process, error) {
	return start(exec.CommandContext(ctx, program, append([]string{"serve", "--addr", "127.0.0.1:0", "--data", data}, args...)...))
}

// start runs a hub until it says that it is ready.
func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, done: make(chan error, 1)}
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, "JOBHUB_") { // which set flags
			cmd.Env = append(cmd.Env, setting)
		}
	}
	cmd.Stderr = &p.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() { p.done <- cmd.Wait() }()
	_, url, ready := strings.Cut(strings.TrimSpace(line), "ready at http://")
	if !ready {
		cmd.Process.Kill()
		ended := <-p.done
		return nil, fmt.Errorf("the hub did not start: %v\n%s%s", errors.Join(err, ended), line, p.log.String())
	}
	p.addr = url
	return p, nil
}

// stop ends the hub in an orderly way. It returns an error if the hub reported one.
func (p *process) stop() error {
	if p.cmd == nil {
		return nil
	}
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-p.done:
		p.cmd = nil
		if err != nil || bytes.Contains(p.log.Bytes(), []byte("level=ERROR")) {
			return fmt.Errorf("the hub failed: %v\n%s", err, p.log.String())
		}
		return nil
	case <-time.After(30 * time.Second):
		p.kill()
		return errors.New("the hub did not stop within 30 s")
	}
}

// kill ends the hub if it still runs.
func (p *process) kill() {
	if p.cmd != nil {
		p.cmd.Process.Kill()
		<-p.done
		p.cmd = nil
	}
}
