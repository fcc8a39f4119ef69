package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"jobhub/jobs"
)

// The peers, their workers, and the plain proxy of routes, are this program in another process; in a test it is the test's.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "peer" || os.Args[1] == "proxy" || os.Args[1] == "worker") {
		main()
	}
	os.Exit(m.Run())
}

// onDisk is a temporary folder that is not kept in memory.
func onDisk(t *testing.T) string {
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil { // PostgreSQL may run as another user
		t.Fatal(err)
	}
	if fileSystem(dir) == "tmpfs" {
		t.Skip("the temporary folder is in memory; set TMPDIR to a folder on a disk")
	}
	return dir
}

func TestAll(t *testing.T) {
	dir := onDisk(t)
	file := filepath.Join(dir, "figures.json")
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"all", "--short", "--dir", dir, "--json", file}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit %d\n%s", code, &stderr)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var result struct {
		Machine machine
		Figures []figure
	}
	if err := json.Unmarshal(text, &result); err != nil {
		t.Fatal(err)
	}
	if result.Machine.Cores == 0 || result.Machine.FileSystem == "unknown" {
		t.Errorf("machine %+v", result.Machine)
	}
	got := map[string]figure{}
	for _, f := range result.Figures {
		got[f.Key] = f
		if !strings.Contains(stdout.String(), "| "+f.What+" | "+f.String()+" |") {
			t.Errorf("the table has no line %q", f.What)
		}
	}
	wanted := []string{"submit.disk", "submit.store", "submit.engine", "submit.http", "submit.ratio", "submit.crowd.rate", "batch.latency", "batch.commits", "batch.crowd.100.rate", "batch.crowd.1000.rate", "finish", "finish.pickup", "fanout-http", "idle.rss", "start.fresh", "start.again", "cycle.rate", "cycle.commits", "cycle.submit", "cycle.latency",
		"fanout.crowd.10", "fanout.crowd.100.ratio", "fanout.narrow.1", "fanout.narrow.100", "fanout.idle.rss", "fanout.store", "fanout.stalled.beside", "fanout.stalled.memory",
		"routes.pass", "routes.async.ratio", "routes.rate.ratio", "routes.stream.rate",
		"peers.one.jobhub.rate", "peers.one.jobhub.client.rate", "peers.many.jobhub.100.rate", "peers.many.jobhub.1000.rate"}
	wanted = append(wanted, "pages.viewers.cpu", "pages.viewers.renders")
	if missingChromium() == "" {
		wanted = append(wanted, "pages.html", "pages.scripts", "pages.requests", "pages.live", "pages.paint.overview", "pages.paint.jobs", "pages.paint.job", "pages.paint.raw", "pages.paint.poll",
			"pages.busy.overview", "pages.busy.jobs", "pages.busy.job", "pages.busy.raw", "pages.paint.ratio", "pages.rate")
		if _, ok := got["pages.soak.heap"]; !ok { // which may have shrunk
			t.Error("pages.soak.heap is missing")
		}
	}
	if missingRedis() == "" {
		wanted = append(wanted, "peers.one.asynq.everysec.ratio", "peers.one.asynq.always.ratio", "peers.many.asynq.everysec.ratio", "peers.many.asynq.always.ratio")
	}
	if missingPostgres() == "" {
		wanted = append(wanted, "peers.one.river.ratio", "peers.many.river.256.ratio")
	}
	for _, key := range wanted {
		if f, ok := got[key]; !ok || len(f.Values) == 0 || f.Values[0].Value <= 0 {
			t.Errorf("%s: %+v", key, f)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 1 {
		t.Errorf("files that were not removed: %v %v", left, err)
	}
}

func TestProfileOfCycle(t *testing.T) {
	dir := onDisk(t)
	file := filepath.Join(dir, "cycle.prof")
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"cycle", "--for", "200ms", "--dir", dir, "--cpuprofile", file}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit %d\n%s", code, &stderr)
	}
	if info, err := os.Stat(file); err != nil || info.Size() == 0 {
		t.Error("no profile", err)
	}
}

func TestWrongFlags(t *testing.T) {
	for _, args := range [][]string{{}, {"nothing"}, {"cycle", "--nothing"}, {"idle", "there"}} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), args, &stdout, &stderr); code != 2 || stderr.Len() == 0 || stdout.Len() > 0 {
			t.Errorf("%v: exit %d, %s", args, code, &stderr)
		}
	}
}

func TestRanks(t *testing.T) {
	var s sample
	for ms := 100; ms >= 1; ms-- {
		s = append(s, time.Duration(ms)*time.Millisecond)
	}
	for q, ms := range map[float64]float64{0: 1, 0.5: 50, 0.99: 99, 0.999: 100, 1: 100} {
		if got := s.millis(q); got != ms {
			t.Errorf("rank %v of 1 to 100 ms is %v ms", q, got)
		}
	}
	if got := (sample{time.Millisecond}).micros(0.99); got != 1000 {
		t.Errorf("rank of the only one: %v µs", got)
	}
}

func TestShort(t *testing.T) {
	for v, want := range map[float64]string{0: "0", 0.4567: "0.46", 2.5: "2.50", 25.25: "25.2", 250.7: "251", 21917.4: "21,917", 1234567: "1,234,567", -1234.5: "-1,234", 12: "12"} {
		if got := short(v); got != want {
			t.Errorf("%v is written %s, not %s", v, got, want)
		}
	}
}

// A hub that says 202 and does not keep the job must fail the measurement.
func TestLyingHub(t *testing.T) {
	kept := 0
	hub := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" {
			w.WriteHeader(http.StatusAccepted)
			w.Write([]byte(`{"id":"01900000-0000-7000-8000-000000000000"}`))
			return
		}
		json.NewEncoder(w).Encode(map[string]any{"queues": []any{map[string]any{"name": kind, "states": map[string]int{"queued": kept}}}})
	}))
	defer hub.Close()
	w, err := dial(hub.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	for range 3 {
		if _, err := w.submit(submission(kind)); err != nil {
			t.Fatal(err)
		}
	}
	for kept = range 5 {
		if err := w.expectQueued(kind, 3); (err == nil) != (kept == 3) {
			t.Errorf("3 accepted, %d kept: %v", kept, err)
		}
	}
}

func TestAudit(t *testing.T) {
	p := &place{folder: t.TempDir()}
	in, err := newInner(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := in.submit(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := in.close(); err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		if err := expectStored(t.Context(), in.folder, n); (err == nil) != (n == 3) {
			t.Errorf("3 stored, %d expected: %v", n, err)
		}
	}

	whole := tally{state: jobs.Succeeded}
	whole.events[jobs.JobQueued], whole.events[jobs.JobStarted], whole.events[jobs.JobProgress], whole.events[jobs.JobSucceeded] = 1, 1, 2, 1
	if err := whole.finished(); err != nil {
		t.Error(err)
	}
	for i := range whole.events {
		for _, by := range []int{-1, 1} {
			other := whole
			other.events[i] += by
			if other.finished() == nil {
				t.Errorf("%d more of %s is a whole cycle", by, jobs.EventType(i))
			}
		}
	}
	whole.state = jobs.Running
	if whole.finished() == nil {
		t.Error("a running job has finished")
	}
}
