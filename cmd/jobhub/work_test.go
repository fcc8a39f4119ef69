package main_test

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

	"jobhub/web/client"
)

// startWorker starts a worker process that runs a shell script for each job of a kind.
func startWorker(t *testing.T, hub, kind, script string, flags ...string) *process {
	t.Helper()
	args := append([]string{"work", "--server", hub, "--kind", kind}, flags...)
	p := start(t, exec.Command(program, append(args, "--", "sh", "-c", script)...))
	t.Cleanup(func() { p.signal(syscall.SIGTERM) }) // a call that is cut off would look like an error of the hub
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
	soon(t, opened)
}

// held waits until the script of a job is at the latch, and returns its process id.
func (h *hub) held(j client.Job) (pid int) {
	h.t.Helper()
	m := h.hear(j, `job\.progress .*"message":"held \d+"`)
	digits := strings.Split(string(m.Data), `"held `)[1]
	pid, err := strconv.Atoi(digits[:strings.IndexByte(digits, '"')])
	if err != nil {
		h.t.Fatal(err)
	}
	return pid
}

// counts counts the events of a job by their type.
func (h *hub) counts(j client.Job) map[string]int {
	h.t.Helper()
	counts := map[string]int{}
	for m, err := range h.client.Watch(h.t.Context(), client.Filter{Job: j.ID}, client.WatchOptions{Since: j.Position()}) {
		if err != nil {
			h.t.Fatal(err)
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
	h := startHub(t)
	startWorker(t, h.url, "ok,usage,data,later,crash,pair", `read -r input
		echo "input $input"
		case $JOBHUB_KIND in
		usage) echo used wrongly >&2; exit 64;;
		data) exit 65;;
		later) test $JOBHUB_ATTEMPT = 2 || { echo '::checkpoint {"page":7}'; exit 75; }; echo "::result $JOBHUB_CHECKPOINT";;
		crash) kill -9 $$;;
		pair) sleep 60 & echo '::result 1';;
		ok) echo '::progress 40 page 4'; echo "::result [\"$JOBHUB_JOB_ID\",\"$JOBHUB_QUEUE\",\"$JOBHUB_ATTEMPT\",\"$JOBHUB_CHECKPOINT\"]"; printf 'a last line';;
		esac`, "--slots", "6")

	ok := h.submit(`{"kind":"ok","queue":"q","input":{"n":1.10}}`)
	if done := h.await(ok.ID, inState("succeeded")); string(done.Result) != fmt.Sprintf(`[%q,"q","1",""]`, ok.ID) {
		t.Errorf("result %s", done.Result)
	}
	h.hear(ok, `job\.progress .*"percent":40,"message":"page 4"`)
	h.hear(ok, `job\.output .*"stream":"stdout","text":"input \{\\"n\\":1.10\}\\na last line"`)

	for kind, detail := range map[string]string{"usage": "exit status 64: used wrongly", "data": "exit status 65"} {
		j := h.submit(`{"kind":"` + kind + `"}`)
		if done := h.await(j.ID, inState("failed")); done.Reason != "rejected" || done.Error.Detail != detail || done.Error.Code != "command_failed" {
			t.Errorf("%s: %s", kind, done.Raw)
		}
	}
	later := h.submit(`{"kind":"later","retry":{"initial":"10ms"}}`)
	if done := h.await(later.ID, inState("succeeded")); done.Attempt != 2 || string(done.Result) != `{"page":7}` {
		t.Errorf("%s", done.Raw)
	}
	crash := h.submit(`{"kind":"crash","retry":{"max_attempts":2,"initial":"10ms"}}`)
	if done := h.await(crash.ID, inState("failed")); done.Reason != "exhausted" || done.Error.Detail != "signal: killed" {
		t.Errorf("%s", done.Raw)
	}
	pair := h.submit(`{"kind":"pair"}`) // what it leaves behind does not hold it up
	if done := h.await(pair.ID, inState("succeeded")); string(done.Result) != "1" {
		t.Errorf("%s", done.Raw)
	}
}

// A cancelled command gets SIGTERM at once, and what it still completes counts.
func TestWorkCancel(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	startWorker(t, h.url, "stops,ends", `trap 'test $JOBHUB_KIND = ends && echo "::result true" && exit 0; exit 1' TERM; echo ::progress 1 ready; sleep 60 & wait`, "--slots", "2")
	for kind, state := range map[string]string{"stops": "cancelled", "ends": "succeeded"} {
		j := h.submit(`{"kind":"` + kind + `"}`)
		h.hear(j, `job\.progress .*ready`)
		told := time.Now()
		if _, err := h.client.Cancel(t.Context(), j.ID); err != nil {
			t.Fatal(err)
		}
		h.await(j.ID, inState(state))
		if took := time.Since(told); took > 5*time.Second {
			t.Errorf("%s took %s: sooner than the next renewal", kind, took)
		}
	}
}

// SIGTERM lets what runs finish; what takes too long goes back and costs no attempt.
func TestWorkDrain(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	quick := newLatch(t)
	script := fmt.Sprintf(`echo ::progress 1 ready; case $JOBHUB_KIND in quick) cat '%s';; *) echo '::checkpoint "half"'; echo ::progress 2 half; sleep 60;; esac`, quick)
	p := startWorker(t, h.url, "quick,slow", script, "--slots", "2", "--grace", "2s")
	a, b := h.submit(`{"kind":"quick"}`), h.submit(`{"kind":"slow"}`)
	h.hear(a, `job\.progress .*ready`)
	h.hear(b, `job\.progress .*half`)
	syscall.Kill(p.cmd.Process.Pid, syscall.SIGTERM)
	late := h.submit(`{"kind":"quick"}`)
	quick.open(t)
	h.await(a.ID, inState("succeeded"))
	if code := p.wait(); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.stderr)
	}
	if j := h.await(b.ID, inState("queued")); j.Attempt != 0 {
		t.Errorf("given back with attempt %d", j.Attempt)
	}
	h.await(late.ID, inState("queued"))
	if list := h.workers(); len(list) != 0 {
		t.Errorf("workers %+v", list)
	}
	startWorker(t, h.url, "slow", `echo "::result $JOBHUB_CHECKPOINT"`)
	if j := h.await(b.ID, inState("succeeded")); string(j.Result) != `"half"` || j.Attempt != 1 {
		t.Errorf("%s", j.Raw)
	}
}

// A second SIGTERM ends the worker and its commands at once.
func TestWorkSecondSignal(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	script := `trap '' TERM; echo ::progress 50 held $$; sleep 60`
	p := startWorker(t, h.url, "stubborn", script, "--grace", "60s")
	pid := h.held(h.submit(`{"kind":"stubborn"}`))
	syscall.Kill(p.cmd.Process.Pid, syscall.SIGTERM)
	p.matched(p.stderr, `level=INFO msg=ending`)
	syscall.Kill(p.cmd.Process.Pid, syscall.SIGTERM)
	if code := p.wait(); code != 1 {
		t.Errorf("exit code %d\n%s", code, p.stderr)
	}
	gone(t, pid)
}

// gone waits until a process is no more, or a corpse.
func gone(t *testing.T, pid int) {
	t.Helper()
	late := time.After(patience)
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

// relay stands between a worker and its hub. While it is deaf, the worker can't ask or
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
	r.Server = serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
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
	r := newRelay(t, h.url)
	l := newLatch(t)
	zombie := startWorker(t, r.URL, "k", l.script(":", `echo '::result "zombie"'`), "--name", "zombie")
	j := h.submit(`{"kind":"k"}`)
	pid := h.held(j)
	for _, target := range []int{zombie.cmd.Process.Pid, -pid} {
		if err := syscall.Kill(target, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	stopped := time.Now()
	healthy := startWorker(t, h.url, "k", `echo '::result "healthy"'`)
	done := h.await(j.ID, inState("succeeded"))
	if took := time.Since(stopped); took > shortLease+5*time.Second {
		t.Errorf("it ran elsewhere only after %s", took)
	}
	r.deaf.Store(true)
	for _, target := range []int{-pid, zombie.cmd.Process.Pid} {
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
	case <-time.After(patience):
		t.Fatalf("the zombie says nothing\n%s", zombie.stderr)
	}
	zombie.matched(zombie.stderr, `an outcome does not count`)
	now, err := h.client.Job(t.Context(), j.ID)
	if err != nil || string(now.Result) != `"healthy"` || now.Version != done.Version || now.Attempt != 1 || !now.FinishedAt.Equal(done.FinishedAt) {
		t.Errorf("%v\nbefore %s\nafter  %s", err, done.Raw, now.Raw)
	}
	r.deaf.Store(false) // from now on it is a worker like others
	healthy.signal(syscall.SIGTERM)
	next := h.submit(`{"kind":"k"}`)
	h.held(next)
	l.open(t)
	if done := h.await(next.ID, inState("succeeded")); string(done.Result) != `"zombie"` {
		t.Errorf("%s", done.Raw)
	}
}

// TestWorkKilled: the jobs of a killed worker run elsewhere, as the same attempt.
func TestWorkKilled(t *testing.T) {
	t.Parallel()
	h := startLeasing(t)
	l := newLatch(t)
	first := startWorker(t, h.url, "k", l.script("exec 2>&1", "exit 1"))
	j := h.submit(`{"kind":"k"}`)
	pid := h.held(j)
	first.signal(syscall.SIGKILL)
	killed := time.Now()
	gone(t, pid)
	startWorker(t, h.url, "k", `echo "::result $JOBHUB_ATTEMPT"`)
	done := h.await(j.ID, inState("succeeded"))
	if took := time.Since(killed); string(done.Result) != "1" || took > shortLease+5*time.Second {
		t.Errorf("after %s: %s", took, done.Raw)
	}
	if n := h.counts(j); n["job.started"] != 2 || n["job.succeeded"] != 1 {
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
			w := startWorker(t, h.url, "k", l.script("echo before", "echo after; echo '::result true'"))
			j := h.submit(`{"kind":"k"}`)
			h.held(j)
			h.signal(s)
			h = startLeasingAt(t, h.addr, h.data)
			w.matched(w.stderr, `(?s)registered.*registered`)
			l.open(t)
			if done := h.await(j.ID, inState("succeeded")); done.Attempt != 1 {
				t.Errorf("%s", done.Raw)
			}
			if n := h.counts(j); n["job.started"] != 1 || n["job.queued"]+n["job.retrying"] != 0 || n["job.succeeded"] != 1 {
				t.Errorf("events %v", n)
			}
			h.hear(j, `job\.output .*after`)
			next := h.submit(`{"kind":"k"}`) // it takes jobs again
			h.held(next)
			l.open(t)
			h.await(next.ID, inState("succeeded"))
			w.signal(syscall.SIGTERM) // before the hub ends: without one it would go on trying for its grace
		})
	}
}
