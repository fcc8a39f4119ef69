package faults

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

const (
	diskSize  = 80 << 20
	mostLines = 40 // of log while the disk is full
)

// TestDiskFull fills the disk under a hub that works: it refuses what it can't store
// and says so, running jobs are not lost, and when there is space again it continues
// by itself.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	t.Run("by-others", func(t *testing.T) { t.Parallel(); diskFull(t, 0) })
	t.Run("by-the-hub", func(t *testing.T) { t.Parallel(); diskFull(t, 28<<20) }) // the log is moved into the database meanwhile
}

// diskFull leaves the hub so many bytes.
func diskFull(t *testing.T, left int64) {
	data := t.TempDir()
	if err := syscall.Mount("jobhub-test", data, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize)); err != nil {
		t.Skipf("a small disk can't be mounted here, so nothing is proved; run this as root, in a container with the capability SYS_ADMIN: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(data, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	g := trial.NewGate(t)
	h := launch(t, trial.Program, trial.FreeAddr(t), data, "--lease", "1s")
	awaitReady(h)
	ctx, cancel := context.WithTimeout(t.Context(), 3*trial.Patience)
	defer cancel()
	accepted := map[string]string{} // bodies by id
	accept := func(body string, headers ...string) string {
		id := h.Submit(body, headers...).ID
		accepted[id] = body
		return id
	}
	for n := range 20 {
		accept(fmt.Sprintf(`{"kind":"idle","delay":"1h","input":{"n":%d}}`, n))
	}
	held := accept(trial.HTTPJob(g.URL+"/held/1", ""))
	trial.Soon(t, g.Arrived)
	leased := accept(`{"kind":"outside"}`)
	w := &rawWorker{hub: h, http: newHTTP(t)}
	if err := w.register(ctx, "outside"); err != nil {
		t.Fatal(err)
	}
	lease, err := w.lease(ctx, trial.Patience)
	if err != nil || lease == nil {
		t.Fatal(lease, err)
	}
	dueAt := time.Now().Add(3 * time.Second)
	due := accept(fmt.Sprintf(`{"kind":"http","input":{"method":"GET","url":"%s/flaky/due"},"run_at":%q,"retry":{"initial":"50ms"}}`, g.URL, dueAt.UTC().Format(time.RFC3339Nano)))

	// Another program takes all the space.
	filler := filepath.Join(data, "filler")
	fill(t, filler)
	if info, err := os.Stat(filler); err != nil || os.Truncate(filler, info.Size()-left) != nil {
		t.Fatal("truncating ", filler, err)
	}
	refused := map[string]string{} // bodies by key
	payload := strings.Repeat("x", 64<<10)
	for n := 0; len(refused) < 20; n++ {
		key, body := fmt.Sprintf("key-%d", n), fmt.Sprintf(`{"kind":"idle","delay":"1h","input":{"n":%d,"text":%q}}`, n, payload)
		a := h.Call("POST", "/v1/jobs", body, trial.IsJSON, "Idempotency-Key: "+key)
		switch {
		case a.Status == http.StatusAccepted && len(refused) == 0 && n < 1000:
			var j client.Job
			h.Decode(a.Body, &j)
			accepted[j.ID] = body
		case a.Status == http.StatusServiceUnavailable:
			refused[key] = body
			var p struct{ Title, Detail string }
			if err := json.Unmarshal(a.Body, &p, json.MatchCaseInsensitiveNames(true)); err != nil || !strings.Contains(p.Title+p.Detail, "space") ||
				a.Header.Get("Content-Type") != "application/problem+json" || a.Header.Get("Retry-After") == "" {
				t.Fatalf("refused with %v %s", a.Header, a.Body)
			}
		default:
			t.Fatalf("submission %d: %d %s", n, a.Status, a.Body)
		}
	}
	if a := h.Call("GET", "/readyz", ""); a.Status != http.StatusServiceUnavailable {
		t.Errorf("with a full disk readyz says %d %s", a.Status, a.Body)
	}
	if a := h.Call("GET", "/healthz", ""); a.Status != http.StatusOK {
		t.Errorf("with a full disk healthz says %d", a.Status)
	}
	if a := h.Call("GET", "/v1/jobs/"+held, ""); a.Status != http.StatusOK {
		t.Errorf("with a full disk a job can't be read: %d %s", a.Status, a.Body)
	}
	h.Matched(h.Stderr, "no space left")

	// What happens meanwhile can't be stored: a job ends, another is due, a worker is lost.
	logged := strings.Count(h.Stderr.String(), "\n")
	close(g.Opened)
	<-time.After(time.Until(dueAt.Add(2 * time.Second))) // by then all three have happened
	if n := strings.Count(h.Stderr.String(), "\n") - logged; n > mostLines {
		t.Errorf("with a full disk the hub logged %d lines in a few seconds, like\n%.1000s", n, h.Stderr.String())
	}
	if a := h.Call("GET", "/readyz", ""); a.Status != http.StatusServiceUnavailable {
		t.Errorf("with a full disk readyz says %d %s", a.Status, a.Body)
	}

	// Space again: nobody submits before the hub says that it is ready.
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	for late := time.Now().Add(trial.Patience); ; {
		a := h.Call("GET", "/readyz", "")
		if a.Status == http.StatusOK {
			break
		}
		if time.Now().After(late) {
			t.Fatalf("there is space again, and readyz says %d %s", a.Status, a.Body)
		}
	}
	for _, id := range []string{held, due} {
		h.Await(id, trial.InState("succeeded"))
	}
	if err := w.register(ctx, "outside"); err != nil { // it was silent for so long that it is forgotten
		t.Fatal(err)
	}
	again, err := w.lease(ctx, trial.Patience)
	if err != nil || again == nil || again.ID != leased || again.Attempt != 1 {
		t.Fatalf("the job of a lost worker was not given to another: %v %v", again, err)
	}
	if v, err := w.end(ctx, again.Lease, "complete", `{"result":1}`); err != nil || v.status != http.StatusOK {
		t.Fatalf("completing: %d %s %v", v.status, v.body, err)
	}
	for key, body := range refused {
		a := h.Call("POST", "/v1/jobs", body, trial.IsJSON, "Idempotency-Key: "+key)
		if a.Status != http.StatusAccepted || a.Header.Get("Idempotency-Replayed") != "" {
			t.Fatalf("%s was refused before, and now: %d %s", key, a.Status, a.Header)
		}
		var j client.Job
		h.Decode(a.Body, &j)
		accepted[j.ID] = body
	}
	check := func(h *trial.Hub) {
		list := h.Jobs()
		if len(list) != len(accepted) {
			t.Errorf("there are %d jobs, %d were accepted", len(list), len(accepted))
		}
		for _, j := range list {
			if accepted[j.ID] == "" {
				t.Errorf("%s was never accepted", j.ID)
			}
			if j.State == "running" || j.State == "queued" || j.State == "failed" {
				t.Errorf("%s is %s", j.ID, j.State)
			}
		}
	}
	check(h)
	checkLog(t, trial.Events(h.Whole(ctx, epochOf(h))))
	report(t, stopped(h))
	h = launch(t, trial.Program, trial.FreeAddr(t), data)
	awaitReady(h)
	check(h)
	report(t, append(stopped(h), alarms(h)...))
	if left > 0 && len(accepted) < 23+len(refused)+50 {
		t.Errorf("only %d jobs found place before the disk was full", len(accepted)-23-len(refused))
	}
	t.Logf("%d jobs accepted, %d refused at first", len(accepted), len(refused))
}

// TestStopWithFullDisk ends a hub in order although its disk is full and a job can't
// be given back.
func TestStopWithFullDisk(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	if err := syscall.Mount("jobhub-test", data, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize)); err != nil {
		t.Skipf("a small disk can't be mounted here, so nothing is proved; run this as root, in a container with the capability SYS_ADMIN: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(data, syscall.MNT_DETACH) })
	g := trial.NewGate(t)
	h := launch(t, trial.Program, trial.FreeAddr(t), data)
	awaitReady(h)
	held := h.Submit(trial.HTTPJob(g.URL+"/held/1", "")).ID
	trial.Soon(t, g.Arrived)
	filler := filepath.Join(data, "filler")
	fill(t, filler)
	body := fmt.Sprintf(`{"kind":"idle","input":%q}`, strings.Repeat("x", 64<<10))
	for n := 0; h.Call("POST", "/v1/jobs", body, trial.IsJSON).Status == http.StatusAccepted; n++ {
		if n == 200 {
			t.Fatal("the disk does not become full")
		}
	}
	h.Signal(syscall.SIGTERM) // it waits for the end
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	close(g.Opened)
	h = launch(t, trial.Program, trial.FreeAddr(t), data)
	awaitReady(h)
	h.Await(held, trial.InState("succeeded"))
	report(t, append(stopped(h), alarms(h)...))
}

// fill makes a file as large as there is space.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 1 << 20; size > 0; {
		if _, err := f.Write(make([]byte, size)); err == nil {
			continue
		} else if !errors.Is(err, syscall.ENOSPC) {
			t.Fatal(err)
		}
		size /= 2
	}
}

func epochOf(h *trial.Hub) string {
	h.T.Helper()
	page, err := h.Client.Jobs(h.T.Context(), client.ListOptions{Limit: 1})
	if err != nil {
		h.T.Fatal(err)
	}
	return page.Epoch
}
