package main_test

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

	"jobhub/web/client"
)

// crashes is how often the hub may crash with a job before the job is given up.
const crashes = 3

// TestPoison: a job whose run kills the hub ends after three crashes, and all else goes on.
func TestPoison(t *testing.T) {
	t.Parallel()
	called := make(chan struct{}, 10)
	up := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/deadly" {
			called <- struct{}{}
			<-r.Context().Done()
		}
	}))
	h := startHub(t)
	bad := h.submit(httpJob(up.URL+"/deadly", `,"queue":"bad","retry":{"max_attempts":20}`))
	for range crashes {
		soon(t, called)
		h.signal(syscall.SIGKILL) // as if the answer had killed it
		h = h.restart()
	}
	end := h.await(bad.ID, func(j client.Job) bool { return j.Final() })
	checkPoisoned(t, end)
	if n := len(called); n != 0 {
		t.Errorf("it ran %d times more", n)
	}
	good := h.submit(httpJob(up.URL+"/good", ""))
	h.await(good.ID, inState("succeeded"))
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
// crashes at the most, and all else goes on.
func TestPoisonByMemory(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("prlimit"); err != nil {
		t.Skip("this test limits the memory of the hub: apt-get install util-linux")
	}
	answer := bytes.Repeat([]byte("x"), 15<<20)
	up := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			w.Write(answer)
		}
	}))
	h := startHub(t)
	idle := h.memory()
	h.signal(syscall.SIGTERM)
	again := func() {
		h.process = start(t, exec.Command("prlimit", append([]string{fmt.Sprintf("--data=%d", idle+memoryForJobs), program}, h.args()...)...))
		h.matched(h.stdout, `ready at`)
	}
	again()
	var targets []string
	for i := range 100 {
		targets = append(targets, fmt.Sprintf(`{"name":"t%d","url":"%s/large"}`, i, up.URL))
	}
	j := h.submit(`{"kind":"fanout","input":{"targets":[` + strings.Join(targets, ",") + `]},"retry":{"max_attempts":1}}`)
	crashed := 0
	for over := false; !over; {
		ended := h.ended
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			select {
			case <-ended:
				cancel()
			case <-ctx.Done():
			}
		}()
		end, err := h.client.Wait(ctx, j.ID)
		cancel()
		if err == nil {
			if over = true; crashed == crashes {
				checkPoisoned(t, end)
			}
			continue
		}
		soon(t, ended)
		if crashed++; crashed > crashes {
			t.Fatal("the hub goes on crashing")
		}
		again()
	}
	t.Logf("the hub crashed %d times", crashed)
	h.await(h.submit(httpJob(up.URL+"/small", "")).ID, inState("succeeded"))
}

// memory is how much a process has of what prlimit --data limits, in bytes.
func (p *process) memory() (n int) {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(status), "VmData:")
	if _, err := fmt.Sscan(after, &n); err != nil {
		p.t.Fatal(err)
	}
	return n << 10
}
