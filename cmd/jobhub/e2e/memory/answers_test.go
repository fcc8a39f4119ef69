package memory

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

// mostMemory is what a hub may have in memory at the most while it reads large answers: the
// budget of answers, what the garbage collector lets grow beside it, and the store.
const mostMemory = 1000 << 20

// TestMemoryOfAnswers has a hub call upstreams whose answers would need gigabytes together,
// in a process that may not have them: it does all jobs, and never dies.
func TestMemoryOfAnswers(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the memory of a process is read from /proc")
	}
	t.Parallel()
	body := bytes.Repeat([]byte("0123456789abcdef"), 15<<20/16)
	up := trial.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", r.URL.Query().Get("type"))
		for rest := body; len(rest) > 0; rest = rest[64<<10:] {
			if _, err := w.Write(rest[:64<<10]); err != nil {
				return
			}
		}
	}))
	fanout := func(targets int, media string) string {
		var list []string
		for i := range targets {
			list = append(list, fmt.Sprintf(`{"name":"t%d","url":"%s/?type=%s"}`, i, up.URL, media))
		}
		return `{"kind":"fanout","retry":{"max_attempts":1},"timeout":"10m","input":{"policy":"settled","targets":[` + strings.Join(list, ",") + `]}}`
	}
	h := startLimited(t, 4*mostMemory)
	live := h.Dial("all=1&progress=none")
	steps := []struct {
		name, job string
		times     int
	}{
		{"a fan-out to 100", fanout(100, "text/plain"), 1},
		{"fan-outs of what is no text", fanout(10, "application/octet-stream"), 8},
		{"http jobs", `{"kind":"http","retry":{"max_attempts":20,"initial":"100ms"},"timeout":"10m","input":{"url":"` + up.URL + `/?type=text/plain"}}`, 20},
	}
	if trial.Long() {
		for i := range steps {
			steps[i].times *= 10
		}
	}
	for _, step := range steps {
		began := time.Now()
		for range step.times {
			h.Submit(step.job)
		}
		readFinals(h, live, step.times)
		peak := peakMemory(h)
		t.Logf("%s: at most %d MiB so far, %s", step.name, peak>>20, time.Since(began).Round(time.Second))
		if peak > mostMemory {
			t.Errorf("%s: the hub took %d MiB", step.name, peak>>20)
		}
	}
	if failed, err := h.Client.Jobs(t.Context(), client.ListOptions{States: []string{"failed"}}); err != nil || len(failed.Jobs) > 0 {
		t.Errorf("%d jobs failed, like %s: %v", len(failed.Jobs), failed.Jobs[0].Raw, err)
	}
}

// startLimited starts a hub that may have so many bytes of address space, of which Go and
// SQLite take far more than memory.
func startLimited(t *testing.T, bytes int) *trial.Hub {
	t.Helper()
	h := &trial.Hub{Addr: trial.FreeAddr(t), Data: t.TempDir()}
	h.Process = trial.Start(t, exec.Command("sh", append([]string{"-c", fmt.Sprintf(`ulimit -v %d; exec "$0" "$@"`, bytes>>10), trial.Program}, h.Args()...)...))
	h.URL = h.Matched(h.Stdout, `ready at (http://\S+)\n`)[1]
	h.Client = client.Client{Base: h.URL}
	return h
}

// readFinals reads events until so many jobs have ended.
func readFinals(h *trial.Hub, s *trial.Socket, n int) {
	h.T.Helper()
	ctx, cancel := context.WithTimeout(h.T.Context(), 5*time.Minute)
	defer cancel()
	for n > 0 {
		m, err := s.Next(ctx)
		if err != nil {
			h.T.Fatalf("the hub is gone: %v\n%s", err, h.Stderr)
		}
		if isFinal(strings.TrimPrefix(m.Type, "job.")) {
			n--
		}
	}
}

func isFinal(state string) bool {
	return state == "succeeded" || state == "failed" || state == "cancelled"
}

var highWater = regexp.MustCompile(`VmHWM:\s*(\d+) kB`)

// peakMemory is the most memory that the hub ever had, in bytes.
func peakMemory(h *trial.Hub) int {
	h.T.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.Cmd.Process.Pid))
	m := highWater.FindSubmatch(status)
	if err != nil || m == nil {
		h.T.Fatalf("the hub is gone: %v\n%s", err, h.Stderr)
	}
	kib, _ := strconv.Atoi(string(m[1]))
	return kib << 10
}
