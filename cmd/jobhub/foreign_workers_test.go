package main_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"jobhub/web/client"
)

// startLeasing starts a hub that hands out leases of a second.
func startLeasing(t *testing.T) *hub {
	t.Helper()
	return startLeasingAt(t, freeAddr(t), t.TempDir())
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
			worker := start(t, exec.Command(c.program, script, h.url, "foreign"))

			var works []client.Job
			for range 5 {
				works = append(works, h.submit(`{"kind":"foreign","input":{"do":"work"}}`))
			}
			for _, j := range works {
				done := h.await(j.ID, inState("succeeded"))
				if got, want := string(done.Result), fmt.Sprintf(`{"by":%q}`, c.name); got != want || done.Attempt != 1 {
					t.Errorf("attempt %d, result %s, want %s", done.Attempt, got, want)
				}
				h.hear(j, `job\.progress .*"percent":50,"message":"half way"`)
				h.hear(j, `job\.output .*"stream":"stdout","text":"hello from `+c.name+`\\n"`)
			}

			stalled := h.submit(`{"kind":"foreign","input":{"do":"stall"}}`)
			worker.matched(worker.stdout, `late: .*lease_lost.* 409`)
			if done := h.await(stalled.ID, inState("succeeded")); done.Attempt != 1 {
				t.Errorf("a lost lease is paid for with an attempt: %s", done.Raw)
			}

			waiting := h.submit(`{"kind":"foreign","input":{"do":"wait"}}`)
			h.hear(waiting, `job\.progress .*waiting`)
			h.call("POST", "/v1/jobs/"+waiting.ID+"/cancel", "")
			if done := h.await(waiting.ID, inState("cancelled")); done.Reason != "user" {
				t.Errorf("%s", done.Raw)
			}

			list := h.workers()
			if len(list) != 1 || list[0].Name != c.name {
				t.Fatalf("workers %+v", list)
			}
			h.call("POST", "/v1/workers/"+list[0].ID+"/terminate", "")
			if code := worker.wait(); code != 0 {
				t.Errorf("exit code %d\n%s%s", code, worker.stdout, worker.stderr)
			}
			if list := h.workers(); len(list) != 0 {
				t.Errorf("workers %+v", list)
			}
		})
	}
}

func startLeasingAt(t *testing.T, addr, data string) *hub {
	t.Helper()
	h := &hub{addr: addr, data: data}
	h.process = start(t, exec.Command(program, append(h.args(), "--lease", shortLease.String())...))
	h.url = h.matched(h.stdout, `ready at (http://\S+)\n`)[1]
	h.client = client.Client{Base: h.url}
	return h
}

// hear waits until the hub tells what it says of a job, as "type data".
func (h *hub) hear(j client.Job, pattern string) client.Message {
	h.t.Helper()
	match := regexp.MustCompile(pattern).MatchString
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	var heard []string
	for m, err := range h.client.Watch(ctx, client.Filter{Job: j.ID}, client.WatchOptions{Since: j.Position(), Progress: "all"}) {
		if err != nil {
			h.t.Fatalf("job %s: %s was not heard (%v) but %q", j.ID, pattern, err, heard)
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

func (h *hub) workers() []workerInfo {
	h.t.Helper()
	var out struct {
		Workers []workerInfo `json:"workers"`
	}
	h.decode(h.call("GET", "/v1/workers", "").body, &out)
	return out.Workers
}
