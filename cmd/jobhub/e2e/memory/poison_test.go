package memory

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

// crashes is how often the hub may crash with a job before the job is given up.
const crashes = 3

// TestPoison: a job whose run kills the hub ends after three crashes, and all other jobs run.
func TestPoison(t *testing.T) {
	t.Parallel()
	called := make(chan struct{}, 10)
	up := trial.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/deadly" {
			called <- struct{}{}
			<-r.Context().Done()
		}
	}))
	h := trial.StartHub(t)
	bad := h.Submit(trial.HTTPJob(up.URL+"/deadly", `,"queue":"bad","retry":{"max_attempts":20}`))
	for range crashes {
		trial.Soon(t, called)
		h.Signal(syscall.SIGKILL) // as if the answer had killed it
		h = h.Restart()
	}
	end := h.Await(bad.ID, func(j client.Job) bool { return j.Final() })
	checkPoisoned(t, end)
	if n := len(called); n != 0 {
		t.Errorf("it ran %d times more", n)
	}
	good := h.Submit(trial.HTTPJob(up.URL+"/good", ""))
	h.Await(good.ID, trial.InState("succeeded"))
}

func checkPoisoned(t *testing.T, end client.Job) {
	t.Helper()
	if end.State != "failed" || end.Reason != "worker_lost" || end.Error == nil || end.Error.Code != "worker_lost" || end.Attempt != 1 || end.Start != crashes {
		t.Errorf("the end of a job that kills the hub: %s", end.Raw)
	}
}

// memoryForJobs is what a hub of TestPoisonByMemory may take besides what it has when it
// is idle: less than the answers that its job asks for.
const memoryForJobs = 200 << 20

// TestPoisonByMemory: a job that asks for more than the memory there is ends, after three
// crashes at the most, and all other jobs run.
func TestPoisonByMemory(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("prlimit"); err != nil {
		t.Skip("this test limits the memory of the hub: apt-get install util-linux")
	}
	answer := bytes.Repeat([]byte("x"), 15<<20)
	up := trial.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			w.Write(answer)
		}
	}))
	free := trial.StartHub(t)
	idle := memoryOf(free.Process)
	free.Signal(syscall.SIGTERM)
	h := &trial.Hub{Addr: free.Addr, Data: free.Data, URL: free.URL, Client: free.Client} // it may log that it has no memory
	again := func() {
		h.Process = trial.Start(t, exec.Command("prlimit", append([]string{fmt.Sprintf("--data=%d", idle+memoryForJobs), trial.Program}, h.Args()...)...))
		h.Matched(h.Stdout, `ready at`)
	}
	again()
	var targets []string
	for i := range 100 {
		targets = append(targets, fmt.Sprintf(`{"name":"t%d","url":"%s/large"}`, i, up.URL))
	}
	j := h.Submit(`{"kind":"fanout","input":{"targets":[` + strings.Join(targets, ",") + `]},"retry":{"max_attempts":1}}`)
	crashed, late := 0, time.Now().Add(4*trial.Patience)
	for over := false; !over; {
		ended := h.Ended
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			select {
			case <-ended:
				cancel()
			case <-ctx.Done():
			}
		}()
		end, err := h.Client.Wait(ctx, j.ID)
		cancel()
		if err == nil {
			if over = true; end.Reason == "worker_lost" { // else it ended before the hub crashed, as when its result was read
				checkPoisoned(t, end)
			}
			continue
		}
		select {
		case <-ended:
			if crashed++; crashed > crashes {
				t.Fatal("the hub still crashes")
			}
			again()
		case <-time.After(time.Second): // it lives, and had no memory for this answer
			if time.Now().After(late) {
				t.Fatalf("the end of the job can't be read: %v", err)
			}
		}
	}
	for line := range strings.Lines(h.Stderr.String()) {
		if strings.Contains(line, "level=ERROR") && !strings.Contains(line, "out of memory") {
			t.Errorf("the hub says %s", line)
		}
	}
	t.Logf("the hub crashed %d times", crashed)
	h.Await(h.Submit(trial.HTTPJob(up.URL+"/small", "")).ID, trial.InState("succeeded"))
}

// memoryOf is how much a process has of what prlimit --data limits, in bytes.
func memoryOf(p *trial.Process) (n int) {
	p.T.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Cmd.Process.Pid))
	if err != nil {
		p.T.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmData:")
	if _, err := fmt.Sscan(after, &n); err != nil {
		p.T.Fatal(err)
	}
	return n << 10
}
