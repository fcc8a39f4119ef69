package faults

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"jobhub/cmd/jobhub/e2e/trial"
)

const syncRequests = 25

// TestFsync proves with strace what killing the process can't: a 202 leaves the hub only
// after the log of its store was written and flushed. The same check finds that a hub
// which does not flush breaks the promise.
func TestFsync(t *testing.T) {
	t.Parallel()
	for name, binary := range map[string]string{"flushed": trial.Program, "sabotaged": sabotaged(t, "nosync")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			steps := trace(t, binary)
			wrong := unsynced(steps)
			if binary == trial.Program {
				for _, w := range wrong {
					t.Error(w)
				}
				return
			}
			if len(wrong) != syncRequests {
				t.Errorf("of a hub that does not flush, %d of %d answers are found to be wrong: %q", len(wrong), syncRequests, wrong)
			}
			for _, w := range wrong {
				if !strings.Contains(w, "no flush") {
					t.Errorf("%s; expected it to be written without being flushed", w)
				}
			}
		})
	}
}

// trace runs a hub under strace, submits jobs one after the other on one connection,
// and returns the steps of the connection and of the store's log in their order.
func trace(t *testing.T, binary string) []step {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("this test watches the hub's system calls: apt-get install strace")
	}
	if out, err := exec.Command(strace, "-f", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace can't trace processes here (in a container it takes the capability SYS_PTRACE), so nothing is proved: %v: %s", err, out)
	}
	h := &trial.Hub{Addr: trial.FreeAddr(t), Data: t.TempDir()}
	log := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command(strace, append([]string{"-f", "-yy", "-s", "1000", "-o", log,
		"-e", "trace=read,write,pwrite64,pwritev,fsync,fdatasync", binary}, h.Args()...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // strace alone would let the hub live on
	h.Process = trial.Start(t, cmd)
	h.URL = h.Matched(h.Stdout, `ready at (http://\S+)\n`)[1]

	conn, err := net.Dial("tcp", h.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(trial.Patience))
	answers := bufio.NewReader(conn)
	for n := range syncRequests {
		// Due in an hour: no step of its life is stored besides the first.
		body := fmt.Sprintf(`{"kind":"x","delay":"1h","tags":["request-%d."]}`, n)
		_, err := fmt.Fprintf(conn, "POST /v1/jobs HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", h.Addr, len(body), body)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, res.Body)
		if res.StatusCode != http.StatusAccepted {
			t.Fatal(res.Status)
		}
	}
	h.Signal(syscall.SIGTERM)
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return steps(string(text), conn.LocalAddr().String())
}

// step is one system call that matters: a request arrived, the store's log was
// written, a flush of it was begun, was done, or a 202 began to leave.
type step struct {
	what    string
	request string // of an arrival
}

var (
	syscallLine = regexp.MustCompile(`^(\d+) +(\w+)\(\d+<(.*?)>[,) ]`)
	resumedLine = regexp.MustCompile(`^(\d+) +<\.\.\. (\w+) resumed>(.*)`)
	requestMark = regexp.MustCompile(`request-(\d+)\.`)
	succeeded   = regexp.MustCompile(`\) += 0$`)
)

// steps finds the steps in the output of strace. A call that others interrupt stands
// there in two lines, its beginning and its end; any other on one line has nothing in
// between. What is caused by the end of a call can't come before it.
func steps(trace, peer string) (out []step) {
	pending := map[string]string{} // thread → file of the call that has not returned
	for line := range strings.Lines(trace) {
		line = strings.TrimRight(line, "\n")
		var thread, call, file string
		begins, ends := true, !strings.HasSuffix(line, "<unfinished ...>")
		if m := syscallLine.FindStringSubmatch(line); m != nil {
			thread, call, file = m[1], m[2], m[3]
			pending[thread] = file
		} else if m := resumedLine.FindStringSubmatch(line); m != nil {
			thread, call, begins = m[1], m[2], false
			file = pending[thread]
		} else {
			continue
		}
		client := strings.Contains(file, "->"+peer)
		wal := strings.HasSuffix(file, "/jobs.db-wal")
		switch {
		case client && call == "read" && ends:
			if m := requestMark.FindStringSubmatch(line); m != nil {
				out = append(out, step{"arrived", m[1]})
			}
		case client && call == "write" && begins && strings.Contains(line, `"HTTP/1.1 202 `):
			out = append(out, step{what: "answered"})
		case wal && strings.HasPrefix(call, "pwrite") && ends:
			out = append(out, step{what: "written"})
		case wal && strings.HasSuffix(call, "sync"):
			if begins {
				out = append(out, step{what: "flushing"})
			}
			if ends && succeeded.MatchString(line) {
				out = append(out, step{what: "flushed"})
			}
		}
	}
	return out
}

// unsynced says which 202s left too early. All of the requests must be in the trace.
func unsynced(steps []step) (wrong []string) {
	reached, answered := "", 0
	for _, s := range steps {
		switch {
		case s.what == "arrived":
			if s.request != fmt.Sprint(answered) {
				return append(wrong, fmt.Sprintf("request %s arrived, expected %d", s.request, answered))
			}
			reached = "arrived"
		case s.what == "written": // anew, so that an earlier flush does not count
			reached = "written"
		case s.what == "flushing" && reached == "written", s.what == "flushed" && reached == "flushing":
			reached = s.what
		case s.what == "answered":
			switch reached {
			case "flushed":
			case "written", "flushing":
				wrong = append(wrong, fmt.Sprintf("request %d was answered with no flush since its job was written", answered))
			default:
				wrong = append(wrong, fmt.Sprintf("request %d was answered before its job was written", answered))
			}
			answered++
			reached = ""
		}
	}
	if answered != syncRequests {
		wrong = append(wrong, fmt.Sprintf("the trace shows %d answers, expected %d", answered, syncRequests))
	}
	return wrong
}
