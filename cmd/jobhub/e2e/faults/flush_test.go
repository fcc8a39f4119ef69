package faults

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

// stracePath is where strace is; without the right to trace, the test is skipped.
func stracePath(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("strace")
	if err != nil {
		t.Fatal("this test needs strace: apt-get install strace")
	}
	if out, err := exec.Command(path, "-f", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		t.Skipf("strace can't trace processes here (in a container it takes the capability SYS_PTRACE), so nothing is proved: %v: %s", err, out)
	}
	return path
}

// straced starts a hub under strace.
func straced(t *testing.T, binary, data string, options ...string) *trial.Hub {
	t.Helper()
	h := &trial.Hub{Addr: trial.FreeAddr(t), Data: data}
	h.URL = "http://" + h.Addr
	h.Client.Base = h.URL
	cmd := exec.Command(stracePath(t), append(append([]string{"-f"}, options...), append([]string{binary}, h.Args()...)...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // strace alone would let the hub live on
	h.Process = trial.Start(t, cmd)
	awaitReady(h)
	return h
}

// line is one connection to the hub, so that requests and answers have one order.
type line struct {
	net.Conn
	answers *bufio.Reader
	addr    string
}

func newLine(h *trial.Hub) *line {
	h.T.Helper()
	conn, err := net.Dial("tcp", h.Addr)
	if err != nil {
		h.T.Fatal(err)
	}
	h.T.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(3 * trial.Patience))
	return &line{conn, bufio.NewReader(conn), h.Addr}
}

func (l *line) submit(body, key string) (status int, text []byte, err error) {
	if _, err := fmt.Fprintf(l, "POST /v1/jobs HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nIdempotency-Key: %s\r\nContent-Length: %d\r\n\r\n%s",
		l.addr, key, len(body), body); err != nil {
		return 0, nil, err
	}
	res, err := http.ReadResponse(l.answers, nil)
	if err != nil {
		return 0, nil, err
	}
	text, err = io.ReadAll(res.Body)
	return res.StatusCode, text, err
}

// TestFsyncError fails a flush of the hub: from then on nothing is acknowledged, and
// the program ends, because only opening the store again tells what it holds.
func TestFsyncError(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(trial.Seed(t), 1))
	for _, forever := range []bool{false, true} {
		nth := 15 + random.IntN(20) // a start takes up to 12
		t.Run(fmt.Sprintf("forever=%t/flush-%d", forever, nth), func(t *testing.T) {
			t.Parallel()
			report(t, failedFsync(t, trial.Program, nth, forever))
		})
	}
}

// failedFsync lets each thread of the hub fail its nth flush with EIO, or all from then on.
func failedFsync(t *testing.T, binary string, nth int, forever bool) (wrong []string) {
	say := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	data := t.TempDir()
	log := filepath.Join(t.TempDir(), "trace")
	when := fmt.Sprint(nth)
	if forever {
		when += "+"
	}
	h := straced(t, binary, data, "-o", log, "-s", "64", "-e", "trace=write,fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO:when="+when)

	// Every answer of readyz that was asked for after a submission was refused counts.
	var failed atomicTime
	var probes sync.WaitGroup
	probing, stop := context.WithCancel(t.Context())
	ready, unready := 0, 0
	probes.Go(func() {
		c := newHTTP(t)
		for probing.Err() == nil {
			asked := time.Now()
			a, err := h.SendBy(probing, c, "GET", "/readyz", "")
			if at := failed.get(); err == nil && !at.IsZero() && asked.After(at) {
				if a.Status == http.StatusServiceUnavailable {
					unready++
				} else {
					ready++
				}
			}
		}
	})

	conn := newLine(h)
	var acked []string
	refused := false
	for n := range 400 { // due in an hour, so that nothing else is stored
		status, text, err := conn.submit(fmt.Sprintf(`{"kind":"x","delay":"1h","tags":["n%d"]}`, n), fmt.Sprintf("k%d", n))
		var j client.Job
		switch {
		case err != nil || status >= 500:
			if !refused {
				failed.set(time.Now())
			}
			refused = true
		case status == http.StatusAccepted && json.Unmarshal(text, &j) == nil:
			if refused {
				say("submission %d was accepted after a flush had failed", n)
			}
			acked = append(acked, j.ID)
		default:
			say("submission %d: %d %s", n, status, text)
		}
		if err != nil {
			break
		}
	}
	if refused && binary == trial.Program {
		if code := h.Wait(); code <= 0 {
			say("after a failed flush the hub ended with %d", code)
		}
		if !strings.Contains(h.Stderr.String(), "the store failed") {
			say("the log does not say why the hub ended:\n%s", h.Stderr)
		}
	} else {
		h.Signal(syscall.SIGKILL)
	}
	stop()
	probes.Wait()
	if ready > 0 {
		say("readyz said %d times that the hub accepts jobs after it had failed to", ready)
	}
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(text, []byte("(INJECTED)")) || len(acked) < 2 {
		t.Fatalf("the flush did not fail as planned, after %d jobs, so this proves nothing", len(acked))
	}
	injected := false
	for l := range strings.Lines(string(text)) {
		if strings.Contains(l, "(INJECTED)") {
			injected = true
		}
		if injected && strings.Contains(l, `"HTTP/1.1 202 `) {
			say("a 202 left the hub after a flush had failed: %s", strings.TrimSpace(l))
		}
	}
	t.Logf("%d accepted, then a flush failed; readyz said 503 %d times before the end", len(acked), unready)
	if binary != trial.Program {
		return wrong
	}

	again := launch(t, binary, trial.FreeAddr(t), data)
	awaitReady(again)
	for _, id := range acked {
		if a := again.Call("GET", "/v1/jobs/"+id, ""); a.Status != http.StatusOK {
			say("%s was accepted before the flush failed, and is gone: %d", id, a.Status)
		}
	}
	again.Submit(`{"kind":"x"}`)
	return append(wrong, append(stopped(again), alarms(again)...)...)
}

type atomicTime struct {
	mu sync.Mutex
	at time.Time
}

func (a *atomicTime) set(at time.Time) { a.mu.Lock(); a.at = at; a.mu.Unlock() }

func (a *atomicTime) get() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.at
}
