package clients

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

// startWorker starts a worker process that runs a shell script for each job of a kind.
func startWorker(t *testing.T, hub, kind, script string, flags ...string) *trial.Process {
	t.Helper()
	args := append([]string{"work", "--server", hub, "--kind", kind}, flags...)
	p := trial.Start(t, exec.Command(trial.Program, append(args, "--", "sh", "-c", script)...))
	t.Cleanup(func() { p.Signal(syscall.SIGTERM) }) // a call that is cut off would look like an error of the hub
	return p
}

// latch holds a script back: `cat $latch` ends when it is opened.
type latch string

func newLatch(t *testing.T) latch {
	t.Helper()
	path := filepath.Join(t.TempDir(), "latch")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return latch(path)
}

func (l latch) script(before, after string) string {
	return fmt.Sprintf("%s; echo ::progress 50 held $$; cat '%s'; %s", before, l, after)
}

// open lets one go, as soon as it is there.
func (l latch) open(t *testing.T) {
	t.Helper()
	opened := make(chan struct{})
	go func() {
		if f, err := os.OpenFile(string(l), os.O_WRONLY, 0); err == nil {
			f.Close()
		}
		close(opened)
	}()
	trial.Soon(t, opened)
}

// pidOf waits until the script of a job is at the latch, and returns its process id.
func pidOf(h *trial.Hub, j client.Job) (pid int) {
	h.T.Helper()
	m := awaitEvent(h, j, `job\.progress .*"message":"held \d+"`)
	digits := strings.Split(string(m.Data), `"held `)[1]
	pid, err := strconv.Atoi(digits[:strings.IndexByte(digits, '"')])
	if err != nil {
		h.T.Fatal(err)
	}
	return pid
}

// countsOf counts the events of a job by their type.
func countsOf(h *trial.Hub, j client.Job) map[string]int {
	h.T.Helper()
	counts := map[string]int{}
	for m, err := range h.Client.Watch(h.T.Context(), client.Filter{Job: j.ID}, client.WatchOptions{Since: j.Position()}) {
		if err != nil {
			h.T.Fatal(err)
		}
		counts[m.Type]++
		if m.Type == client.Live {
			return counts
		}
	}
	return nil
}

func TestWorkCommand(t *testing.T) {
	t.Parallel()
	h := trial.StartHub(t)
	startWorker(t, h.URL, "ok,usage,data,later,crash,pair", `read -r input
		echo "input $input"
		case $JOBHUB_KIND in
		usage) echo used wrongly >&2; exit 64;;
		data) exit 65;;
		later) test $JOBHUB_ATTEMPT = 2 || { echo '::checkpoint {"page":7}'; exit 75; }; echo "::result $JOBHUB_CHECKPOINT";;
		crash) kill -9 $$;;
		pair) sleep 60 & echo '::result 1';;
		ok) echo '::progress 40 page 4'; echo "::result [\"$JOBHUB_JOB_ID\",\"$JOBHUB_QUEUE\",\"$JOBHUB_ATTEMPT\",\"$JOBHUB_CHECKPOINT\"]"; printf 'a last line';;
		esac`, "--slots", "6")

	ok := h.Submit(`{"kind":"ok","queue":"q","input":{"n":1.10}}`)
	if done := h.Await(ok.ID, trial.InState("succeeded")); string(done.Result) != fmt.Sprintf(`[%q,"q","1",""]`, ok.ID) {
		t.Errorf("result %s", done.Result)
	}
	awaitEvent(h, ok, `job\.progress .*"percent":40,"message":"page 4"`)
	awaitEvent(h, ok, `job\.output .*"stream":"stdout","text":"input \{\\"n\\":1.10\}\\na last line"`)

	for kind, detail := range map[string]string{"usage": "exit status 64: used wrongly", "data": "exit status 65"} {
		j := h.Submit(`{"kind":"` + kind + `"}`)
		if done := h.Await(j.ID, trial.InState("failed")); done.Reason != "rejected" || done.Error.Detail != detail || done.Error.Code != "command_failed" {
			t.Errorf("%s: %s", kind, done.Raw)
		}
	}
	later := h.Submit(`{"kind":"later","retry":{"initial":"10ms"}}`)
	if done := h.Await(later.ID, trial.InState("succeeded")); done.Attempt != 2 || string(done.Result) != `{"page":7}` {
		t.Errorf("%s", done.Raw)
	}
	crash := h.Submit(`{"kind":"crash","retry":{"max_attempts":2,"initial":"10ms"}}`)
	if done := h.Await(crash.ID, trial.InState("failed")); done.Reason != "exhausted" || done.Error.Detail != "signal: killed" {
		t.Errorf("%s", done.Raw)
	}
	pair := h.Submit(`{"kind":"pair"}`) // processes that it leaves behind do not delay it
	if done := h.Await(pair.ID, trial.InState("succeeded")); string(done.Result) != "1" {
		t.Errorf("%s", done.Raw)
	}
}

// A cancelled command gets SIGTERM before the next renewal of its lease, which is far away, and
// what it still completes counts.
func TestWorkCancel(t *testing.T) {
	t.Parallel()
	h := trial.StartHubAt(t, trial.FreeAddr(t), t.TempDir(), "--lease", "1h")
	startWorker(t, h.URL, "stops,ends", `trap 'test $JOBHUB_KIND = ends && echo "::result true" && exit 0; exit 1' TERM; echo ::progress 1 ready; sleep 600 & wait`, "--slots", "2")
	for kind, state := range map[string]string{"stops": "cancelled", "ends": "succeeded"} {
		j := h.Submit(`{"kind":"` + kind + `"}`)
		awaitEvent(h, j, `job\.progress .*ready`)
		if _, err := h.Client.Cancel(t.Context(), j.ID); err != nil {
			t.Fatal(err)
		}
		h.Await(j.ID, trial.InState(state))
	}
}

// SIGTERM lets what runs finish; what takes too long goes back and costs no attempt.
func TestWorkDrain(t *testing.T) {
	t.Parallel()
	h := trial.StartHub(t)
	quick := newLatch(t)
	script := fmt.Sprintf(`echo ::progress 1 ready; case $JOBHUB_KIND in quick) cat '%s';; *) echo '::checkpoint "half"'; echo ::progress 2 half; sleep 60;; esac`, quick)
	p := startWorker(t, h.URL, "quick,slow", script, "--slots", "2", "--grace", "2s")
	a, b := h.Submit(`{"kind":"quick"}`), h.Submit(`{"kind":"slow"}`)
	awaitEvent(h, a, `job\.progress .*ready`)
	awaitEvent(h, b, `job\.progress .*half`)
	syscall.Kill(p.Cmd.Process.Pid, syscall.SIGTERM)
	late := h.Submit(`{"kind":"quick"}`)
	quick.open(t)
	h.Await(a.ID, trial.InState("succeeded"))
	if code := p.Wait(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.Stderr)
	}
	if j := h.Await(b.ID, trial.InState("queued")); j.Attempt != 0 {
		t.Errorf("the released job has attempt %d", j.Attempt)
	}
	h.Await(late.ID, trial.InState("queued"))
	if list := workersOf(h); len(list) != 0 {
		t.Errorf("workers %+v", list)
	}
	startWorker(t, h.URL, "slow", `echo "::result $JOBHUB_CHECKPOINT"`)
	if j := h.Await(b.ID, trial.InState("succeeded")); string(j.Result) != `"half"` || j.Attempt != 1 {
		t.Errorf("%s", j.Raw)
	}
}

// A second SIGTERM ends the worker and its commands at once.
func TestWorkSecondSignal(t *testing.T) {
	t.Parallel()
	h := trial.StartHub(t)
	script := `trap '' TERM; echo ::progress 50 held $$; sleep 60`
	p := startWorker(t, h.URL, "stubborn", script, "--grace", "60s")
	pid := pidOf(h, h.Submit(`{"kind":"stubborn"}`))
	syscall.Kill(p.Cmd.Process.Pid, syscall.SIGTERM)
	p.Matched(p.Stderr, `level=INFO msg=stopping`)
	syscall.Kill(p.Cmd.Process.Pid, syscall.SIGTERM)
	if code := p.Wait(); code != 1 {
		t.Errorf("exit code %d\n%s", code, p.Stderr)
	}
	gone(t, pid)
}

// gone waits until a process is no more, or a corpse.
func gone(t *testing.T, pid int) {
	t.Helper()
	late := time.After(trial.Patience)
	for tick := time.Tick(10 * time.Millisecond); ; {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		select {
		case <-tick:
		case <-late:
			t.Fatalf("process %d is still there: %s", pid, stat)
		}
	}
}

// relay is a proxy between a worker and its hub. While it is deaf, the worker can't ask or
// renew anything.
type relay struct {
	*httptest.Server
	deaf    atomic.Bool
	settled chan string // "verb status" of the hub's answers to outcomes
}

func newRelay(t *testing.T, hub string) *relay {
	to, err := url.Parse(hub)
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{settled: make(chan string, 10)}
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ErrorLog = log.New(io.Discard, "", 0) // polls that the worker gives up
	proxy.ModifyResponse = func(res *http.Response) error {
		if verb := filepath.Base(res.Request.URL.Path); strings.HasPrefix(res.Request.URL.Path, "/v1/leases/") && verb != "events" {
			r.settled <- fmt.Sprint(verb, " ", res.StatusCode)
		}
		return nil
	}
	r.Server = trial.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if r.deaf.Load() && strings.HasPrefix(req.URL.Path, "/v1/workers") {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		req.Host = to.Host
		proxy.ServeHTTP(w, req)
	}))
	return r
}

// TestZombie: a worker that was stopped for longer than its lease wakes up, finishes,
// and changes nothing.
func TestZombie(t *testing.T) {
	t.Parallel()
	h := startLeasing(t)
	r := newRelay(t, h.URL)
	l := newLatch(t)
	zombie := startWorker(t, r.URL, "k", l.script(":", `echo '::result "zombie"'`), "--name", "zombie")
	j := h.Submit(`{"kind":"k"}`)
	pid := pidOf(h, j)
	for _, target := range []int{zombie.Cmd.Process.Pid, -pid} {
		if err := syscall.Kill(target, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	healthy := startWorker(t, h.URL, "k", `echo '::result "healthy"'`)
	done := h.Await(j.ID, trial.InState("succeeded"))
	r.deaf.Store(true)
	for _, target := range []int{-pid, zombie.Cmd.Process.Pid} {
		if err := syscall.Kill(target, syscall.SIGCONT); err != nil {
			t.Fatal(err)
		}
	}
	l.open(t)
	select {
	case answer := <-r.settled:
		if answer != "complete 409" {
			t.Errorf("the zombie was answered %s", answer)
		}
	case <-time.After(trial.Patience):
		t.Fatalf("the zombie says nothing\n%s", zombie.Stderr)
	}
	zombie.Matched(zombie.Stderr, `an outcome was not`)
	now, err := h.Client.Job(t.Context(), j.ID)
	if err != nil || string(now.Result) != `"healthy"` || now.Version != done.Version || now.Attempt != 1 || !now.FinishedAt.Equal(done.FinishedAt) {
		t.Errorf("%v\nbefore %s\nafter  %s", err, done.Raw, now.Raw)
	}
	r.deaf.Store(false) // from now on it is a worker like others
	healthy.Signal(syscall.SIGTERM)
	next := h.Submit(`{"kind":"k"}`)
	pidOf(h, next)
	l.open(t)
	if done := h.Await(next.ID, trial.InState("succeeded")); string(done.Result) != `"zombie"` {
		t.Errorf("%s", done.Raw)
	}
}

// TestWorkKilled: the jobs of a killed worker run elsewhere, as the same attempt.
func TestWorkKilled(t *testing.T) {
	t.Parallel()
	h := startLeasing(t)
	l := newLatch(t)
	first := startWorker(t, h.URL, "k", l.script("exec 2>&1", "exit 1"))
	j := h.Submit(`{"kind":"k"}`)
	pid := pidOf(h, j)
	first.Signal(syscall.SIGKILL)
	gone(t, pid)
	startWorker(t, h.URL, "k", `echo "::result $JOBHUB_ATTEMPT"`)
	done := h.Await(j.ID, trial.InState("succeeded"))
	if string(done.Result) != "1" {
		t.Errorf("%s", done.Raw)
	}
	if n := countsOf(h, j); n["job.started"] != 2 || n["job.succeeded"] != 1 {
		t.Errorf("events %v", n)
	}
}

// TestWorkHubRestart: a job survives restarts of the hub in the hands of its worker.
func TestWorkHubRestart(t *testing.T) {
	for name, s := range map[string]syscall.Signal{"killed": syscall.SIGKILL, "told to stop": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := startLeasing(t)
			l := newLatch(t)
			w := startWorker(t, h.URL, "k", l.script("echo before", "echo after; echo '::result true'"))
			j := h.Submit(`{"kind":"k"}`)
			pidOf(h, j)
			h.Signal(s)
			h = startLeasingAt(t, h.Addr, h.Data)
			w.Matched(w.Stderr, `(?s)registered.*registered`)
			l.open(t)
			if done := h.Await(j.ID, trial.InState("succeeded")); done.Attempt != 1 {
				t.Errorf("%s", done.Raw)
			}
			if n := countsOf(h, j); n["job.started"] != 1 || n["job.queued"]+n["job.retrying"] != 0 || n["job.succeeded"] != 1 {
				t.Errorf("events %v", n)
			}
			awaitEvent(h, j, `job\.output .*after`)
			next := h.Submit(`{"kind":"k"}`) // it takes jobs again
			pidOf(h, next)
			l.open(t)
			h.Await(next.ID, trial.InState("succeeded"))
			w.Signal(syscall.SIGTERM) // before the hub ends: without a hub it would try again for its whole grace
		})
	}
}
