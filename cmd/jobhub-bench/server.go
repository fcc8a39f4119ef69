package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net"
	"os/exec"
	"syscall"
	"time"
)

// server is the database server of another job queue.
type server struct {
	addr       string
	args       []string            // with the program
	as         *syscall.Credential // nil for the user of this process
	stopSignal syscall.Signal      // SIGTERM if 0
	killSignal syscall.Signal      // SIGKILL if 0
	ready      func(context.Context) error

	cmd  *exec.Cmd
	log  bytes.Buffer // may be read when it has ended
	done chan error
}

// start runs the server until it answers. It may be started again after stop.
func (s *server) start(ctx context.Context) error {
	s.log.Reset()
	s.cmd, s.done = exec.CommandContext(ctx, s.args[0], s.args[1:]...), make(chan error, 1)
	s.cmd.Dir, s.cmd.Stdout, s.cmd.Stderr = "/", &s.log, &s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(cmp.Or(s.killSignal, syscall.SIGKILL)) }
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return err
	}
	go func() { s.done <- s.cmd.Wait() }()
	waiting, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		err := s.ready(waiting)
		if err == nil {
			return nil
		}
		select {
		case ended := <-s.done:
			s.cmd = nil
			return fmt.Errorf("%s did not start: %v\n%s", s.args[0], ended, s.log.String())
		case <-waiting.Done():
			s.kill()
			return fmt.Errorf("%s does not answer: %w\n%s", s.args[0], err, s.log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// stop ends the server in an orderly way.
func (s *server) stop() error {
	s.cmd.Process.Signal(cmp.Or(s.stopSignal, syscall.SIGTERM))
	select {
	case err := <-s.done:
		s.cmd = nil
		if err != nil {
			return fmt.Errorf("%s: %w\n%s", s.args[0], err, s.log.String())
		}
		return nil
	case <-time.After(time.Minute):
		s.kill()
		return fmt.Errorf("%s did not stop within a minute", s.args[0])
	}
}

// kill ends the server if it still runs.
func (s *server) kill() {
	if s.cmd != nil {
		s.cmd.Process.Signal(cmp.Or(s.killSignal, syscall.SIGKILL))
		<-s.done
		s.cmd = nil
	}
}

// freePort returns an unused port of this machine.
func freePort() (addr, port string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer l.Close()
	_, port, err = net.SplitHostPort(l.Addr().String())
	return l.Addr().String(), port, err
}
