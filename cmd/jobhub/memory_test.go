package main_test

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
	up := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	live := h.dial("all=1&progress=none")
	steps := []struct {
		name, job string
		times     int
	}{
		{"a fan-out to 100", fanout(100, "text/plain"), 1},
		{"fan-outs of what is no text", fanout(10, "application/octet-stream"), 8},
		{"http jobs", `{"kind":"http","retry":{"max_attempts":20,"initial":"100ms"},"timeout":"10m","input":{"url":"` + up.URL + `/?type=text/plain"}}`, 20},
	}
	if long() {
		for i := range steps {
			steps[i].times *= 10
		}
	}
	for _, step := range steps {
		began := time.Now()
		for range step.times {
			h.submit(step.job)
		}
		h.finals(live, step.times)
		peak := h.peakMemory()
		t.Logf("%s: at most %d MiB so far, %s", step.name, peak>>20, time.Since(began).Round(time.Second))
		if peak > mostMemory {
			t.Errorf("%s: the hub took %d MiB", step.name, peak>>20)
		}
	}
	if failed, err := h.client.Jobs(t.Context(), client.ListOptions{States: []string{"failed"}}); err != nil || len(failed.Jobs) > 0 {
		t.Errorf("%d jobs failed, like %s: %v", len(failed.Jobs), failed.Jobs[0].Raw, err)
	}
}

// startLimited starts a hub that may have so many bytes of address space, of which Go and
// SQLite take far more than memory.
func startLimited(t *testing.T, bytes int) *hub {
	t.Helper()
	h := &hub{addr: freeAddr(t), data: t.TempDir()}
	h.process = start(t, exec.Command("sh", append([]string{"-c", fmt.Sprintf(`ulimit -v %d; exec "$0" "$@"`, bytes>>10), program}, h.args()...)...))
	h.url = h.matched(h.stdout, `ready at (http://\S+)\n`)[1]
	h.client = client.Client{Base: h.url}
	return h
}

// finals reads events until so many jobs have ended.
func (h *hub) finals(s *socket, n int) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 5*time.Minute)
	defer cancel()
	for n > 0 {
		m, err := s.read(ctx)
		if err != nil {
			h.t.Fatalf("the hub is gone: %v\n%s", err, h.stderr)
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
func (h *hub) peakMemory() int {
	h.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.cmd.Process.Pid))
	m := highWater.FindSubmatch(status)
	if err != nil || m == nil {
		h.t.Fatalf("the hub is gone: %v\n%s", err, h.stderr)
	}
	kib, _ := strconv.Atoi(string(m[1]))
	return kib << 10
}
