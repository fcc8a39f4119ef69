package clients

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

// startLeasing starts a hub that hands out leases of a second.
func startLeasing(t *testing.T) *trial.Hub {
	t.Helper()
	return startLeasingAt(t, trial.FreeAddr(t), t.TempDir())
}

const shortLease = time.Second

// TestForeignWorkers: workers in other languages need no more than HTTP.
func TestForeignWorkers(t *testing.T) {
	for _, c := range []struct{ name, program, script, install string }{
		{"curl", "sh", "worker.sh", "curl"},
		{"python", "python3", "worker.py", "python3"},
		{"node", "node", "worker.mjs", "nodejs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, tool := range []string{c.program, strings.TrimSuffix(c.install, "js")} {
				if _, err := exec.LookPath(tool); err != nil {
					t.Fatalf("this test needs %s; on Debian: apt-get install %s", tool, c.install)
				}
			}
			script, err := filepath.Abs(filepath.Join("testdata", c.script))
			if err != nil {
				t.Fatal(err)
			}
			h := startLeasing(t)
			worker := trial.Start(t, exec.Command(c.program, script, h.URL, "foreign"))

			var works []client.Job
			for range 5 {
				works = append(works, h.Submit(`{"kind":"foreign","input":{"do":"work"}}`))
			}
			for _, j := range works {
				done := h.Await(j.ID, trial.InState("succeeded"))
				if got, want := string(done.Result), fmt.Sprintf(`{"by":%q}`, c.name); got != want || done.Attempt != 1 {
					t.Errorf("attempt %d, result %s, want %s", done.Attempt, got, want)
				}
				awaitEvent(h, j, `job\.progress .*"percent":50,"message":"half way"`)
				awaitEvent(h, j, `job\.output .*"stream":"stdout","text":"hello from `+c.name+`\\n"`)
			}

			stalled := h.Submit(`{"kind":"foreign","input":{"do":"stall"}}`)
			worker.Matched(worker.Stdout, `late: .*lease_lost.* 409`)
			if done := h.Await(stalled.ID, trial.InState("succeeded")); done.Attempt != 1 {
				t.Errorf("a lost lease is paid for with an attempt: %s", done.Raw)
			}

			waiting := h.Submit(`{"kind":"foreign","input":{"do":"wait"}}`)
			awaitEvent(h, waiting, `job\.progress .*waiting`)
			h.Call("POST", "/v1/jobs/"+waiting.ID+"/cancel", "")
			if done := h.Await(waiting.ID, trial.InState("cancelled")); done.Reason != "user" {
				t.Errorf("%s", done.Raw)
			}

			list := workersOf(h)
			if len(list) != 1 || list[0].Name != c.name {
				t.Fatalf("workers %+v", list)
			}
			h.Call("POST", "/v1/workers/"+list[0].ID+"/terminate", "")
			if code := worker.Wait(); code != 0 {
				t.Errorf("exit code %d\n%s%s", code, worker.Stdout, worker.Stderr)
			}
			if list := workersOf(h); len(list) != 0 {
				t.Errorf("workers %+v", list)
			}
		})
	}
}

func startLeasingAt(t *testing.T, addr, data string) *trial.Hub {
	t.Helper()
	h := &trial.Hub{Addr: addr, Data: data}
	h.Process = trial.Start(t, exec.Command(trial.Program, append(h.Args(), "--lease", shortLease.String())...))
	h.URL = h.Matched(h.Stdout, `ready at (http://\S+)\n`)[1]
	h.Client = client.Client{Base: h.URL}
	return h
}

// awaitEvent waits until the hub tells what it says of a job, as "type data".
func awaitEvent(h *trial.Hub, j client.Job, pattern string) client.Message {
	h.T.Helper()
	match := regexp.MustCompile(pattern).MatchString
	ctx, cancel := context.WithTimeout(h.T.Context(), trial.Patience)
	defer cancel()
	var heard []string
	for m, err := range h.Client.Watch(ctx, client.Filter{Job: j.ID}, client.WatchOptions{Since: j.Position(), Progress: "all"}) {
		if err != nil {
			h.T.Fatalf("job %s: %s was not heard (%v) but %q", j.ID, pattern, err, heard)
		}
		line := m.Type + " " + string(m.Data)
		if m.Event() && match(line) {
			return m
		}
		heard = append(heard, line)
	}
	return client.Message{}
}

type workerInfo struct {
	ID   string `json:"worker_id"`
	Name string `json:"name"`
}

func workersOf(h *trial.Hub) []workerInfo {
	h.T.Helper()
	var out struct {
		Workers []workerInfo `json:"workers"`
	}
	h.Decode(h.Call("GET", "/v1/workers", "").Body, &out)
	return out.Workers
}
