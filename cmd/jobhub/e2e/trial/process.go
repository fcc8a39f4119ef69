package trial

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience is how long a test waits for what should come at once.
const Patience = time.Minute

// Text is what a process has printed so far.
type Text struct {
	mu    sync.Mutex // protects the fields below
	bytes []byte
	grown chan struct{} // closed and replaced by every write
}

// NewText returns an empty Text.
func NewText() *Text { return &Text{grown: make(chan struct{})} }

func (o *Text) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes = append(o.bytes, p...)
	close(o.grown)
	o.grown = make(chan struct{})
	return len(p), nil
}

func (o *Text) String() string {
	now, _ := o.Now()
	return now
}

// Now returns the text as it is, and what is closed when it grows.
func (o *Text) Now() (text string, grown <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.bytes), o.grown
}

// Process is a program that a test started.
type Process struct {
	T      *testing.T
	Cmd    *exec.Cmd
	Stdout *Text
	Stderr *Text
	Ended  chan struct{}
}

// Start starts a program in a folder of its own, without what would set flags of jobhub in
// its environment. It ends with the test.
func Start(t *testing.T, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{T: t, Cmd: cmd, Stdout: NewText(), Stderr: NewText(), Ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr, cmd.Dir = p.Stdout, p.Stderr, t.TempDir()
	cmd.Env = append(CleanEnv(), cmd.Env...)
	if err := p.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.Cmd.Wait()
		close(p.Ended)
	}()
	t.Cleanup(func() { p.Signal(syscall.SIGKILL) })
	return p
}

// CleanEnv is the environment without what would set flags of the program.
func CleanEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "JOBHUB_") || strings.HasPrefix(v, "OTEL_") })
}

// Matched waits for a match in what the process has printed and returns its groups.
func (p *Process) Matched(out *Text, pattern string) []string {
	p.T.Helper()
	re, late := regexp.MustCompile(pattern), time.After(Patience)
	for {
		said, grown := out.Now()
		found := re.FindStringSubmatch(said)
		if found != nil {
			return found
		}
		select {
		case <-grown:
		case <-p.Ended:
			if !re.MatchString(out.String()) {
				p.T.Fatalf("%s ended (%v) without printing %s\n%s%s", p.Cmd, p.Cmd.ProcessState, pattern, p.Stdout, p.Stderr)
			}
		case <-late:
			p.T.Fatalf("%s did not print %s\n%s%s", p.Cmd, pattern, p.Stdout, p.Stderr)
		}
	}
}

// Signal sends a signal to the process, or to all of its group if it leads one, and
// waits for the end.
func (p *Process) Signal(s syscall.Signal) {
	select {
	case <-p.Ended:
		return
	default:
	}
	syscall.Kill(p.target(), s)
	p.Wait()
}

func (p *Process) target() int {
	if a := p.Cmd.SysProcAttr; a != nil && a.Setpgid {
		return -p.Cmd.Process.Pid
	}
	return p.Cmd.Process.Pid
}

// Wait waits for the end and returns the exit code.
func (p *Process) Wait() int {
	p.T.Helper()
	select {
	case <-p.Ended:
	case <-time.After(Patience):
		syscall.Kill(p.target(), syscall.SIGKILL)
		p.T.Errorf("%s did not end\n%s%s", p.Cmd, p.Stdout, p.Stderr)
		<-p.Ended
	}
	return p.Cmd.ProcessState.ExitCode()
}

// Run runs the program to its end.
func Run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := Start(t, exec.Command(Program, args...))
	code = p.Wait()
	return code, p.Stdout.String(), p.Stderr.String()
}
