package faults

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/go-json-experiment/json"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

const (
	fileJobs  = 300 // of an HTTP server that nobody here wrote
	heldJobs  = 50  // running when the hub is killed, because nobody answers them
	laterJobs = 20  // not due yet when the hub is killed
	flakyJobs = 10  // waiting for their second attempt, perhaps

	leastUnfinished = 20
)

// pythonFiles serves files with the HTTP server of Python.
func pythonFiles(t *testing.T, files map[string]string) (url string) {
	t.Helper()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatal("this test calls the HTTP server of Python: apt-get install python3")
	}
	dir := t.TempDir()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := trial.Start(t, exec.Command(python, "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", dir, "0"))
	return "http://127.0.0.1:" + p.Matched(p.Stdout, `port (\d+) `)[1]
}

func heldAnswer(n string) string { return fmt.Sprintf("%q\n%q\n", "first of "+n, "second of "+n) }

// TestKill kills the hub with SIGKILL in the middle of its work. Every job it had
// accepted ends once, and a subscriber sees every event once and in order.
func TestKill(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.txt": "the first file\n", "b.json": `{"second":"file"}`, "c.bin": strings.Repeat("\x00\xff", 5000)}
	python := pythonFiles(t, files)
	names := []string{"a.txt", "b.json", "c.bin"}
	g := trial.NewGate(t)
	h := trial.StartHub(t)
	b := &trial.Book{Bodies: map[string]string{}, IDs: map[string]string{}}
	ctx, cancel := context.WithTimeout(t.Context(), 3*trial.Patience)
	defer cancel()

	watching := h.Dial("all=1&progress=all")
	var before []trial.Said
	cut := make(chan error, 1)
	go func() {
		for {
			m, err := watching.Next(ctx)
			if err != nil {
				cut <- err
				return
			}
			before = append(before, m)
		}
	}()

	accept := func(key, body string) {
		if !b.Submit(ctx, h, key, body) {
			t.Fatalf("%s was not accepted\n%s", key, h.Stderr)
		}
	}
	for n := range heldJobs {
		accept(fmt.Sprintf("held-%d", n), trial.HTTPJob(fmt.Sprintf("%s/held/%d", g.URL, n), `,"queue":"held"`))
	}
	for n := range laterJobs {
		accept(fmt.Sprintf("later-%d", n), trial.HTTPJob(python+"/a.txt", `,"queue":"later","delay":"2s"`))
	}
	for n := range flakyJobs {
		accept(fmt.Sprintf("flaky-%d", n), trial.HTTPJob(fmt.Sprintf("%s/flaky/%d", g.URL, n), `,"queue":"flaky","retry":{"initial":"1s"}`))
	}
	for range heldJobs {
		trial.Soon(t, g.Arrived)
	}

	// Several clients submit; the hub dies in the middle of it.
	var clients sync.WaitGroup
	var next, accepted, unfinished atomic.Int64
	for range 6 {
		clients.Go(func() {
			for n := next.Add(1); n <= fileJobs; n = next.Add(1) {
				// Python's server drops connections when too many come at once.
				body := trial.HTTPJob(python+"/"+names[n%3], `,"queue":"files","retry":{"initial":"50ms","max_attempts":20}`)
				if b.Submit(ctx, h, fmt.Sprintf("file-%d", n), body) && accepted.Add(1) == fileJobs/2 {
					unfinished.Store(g.Waiting.Load())
					h.Signal(syscall.SIGKILL)
				}
			}
		})
	}
	clients.Wait()
	if err := <-cut; ctx.Err() != nil {
		t.Fatal(err)
	}
	if n := unfinished.Load(); n < leastUnfinished {
		t.Fatalf("only %d jobs were unfinished when the hub was killed, so this proves nothing", n)
	}
	unknown := b.Unknown()
	open := map[string]bool{}
	for _, id := range b.IDs {
		open[id] = true
	}
	for _, m := range before {
		if m.Final() {
			delete(open, m.Job)
		}
	}
	t.Logf("killed with %d jobs accepted, %d of them not seen to end (%d certainly unfinished), and %d submissions without an answer",
		len(b.IDs), len(open), unfinished.Load(), len(unknown))

	close(g.Opened)
	h = h.Restart()
	last := position(t, before)
	resumed := h.Dial(fmt.Sprintf("all=1&progress=all&epoch=%s&seq=%d", last.Epoch, last.Seq))
	for _, key := range unknown {
		accept(key, b.Bodies[key])
		open[b.IDs[key]] = true
	}
	var after []trial.Said
	for len(open) > 0 {
		m, err := resumed.Next(ctx)
		if err != nil {
			t.Fatalf("%v; these never ended: %v\n%s", err, open, h.Stderr)
		}
		if m.Type == client.Subscribed && (m.Recovered == nil || !*m.Recovered) {
			t.Fatalf("the subscriber could not resume: %s", m.Reason)
		}
		after = append(after, m)
		if m.Final() {
			delete(open, m.Job)
		}
	}

	seen := trial.Events(append(before, after...))
	whole := h.Whole(ctx, last.Epoch)
	checkLog(t, whole)
	if len(seen) != len(whole) {
		t.Errorf("the subscriber got %d events, the log has %d", len(seen), len(whole))
	}
	for i := range min(len(seen), len(whole)) {
		if a, w := seen[i], whole[i]; a.Seq != w.Seq || a.Type != w.Type || a.Job != w.Job || a.Version != w.Version {
			t.Fatalf("event %d: the subscriber got %s of %s (seq %d, version %d), the log has %s of %s (seq %d, version %d)", i,
				a.Type, a.Job, a.Seq, a.Version, w.Type, w.Job, w.Seq, w.Version)
		}
	}
	checkJobs(t, h, b, whole, files, names)
}

// position is where a subscriber can resume after these messages.
func position(t *testing.T, messages []trial.Said) (p client.Position) {
	t.Helper()
	for _, m := range messages {
		if m.Type == client.Subscribed {
			p.Epoch = m.Epoch
		}
		p.Seq = max(p.Seq, m.Seq)
	}
	if p.Epoch == "" || p.Seq == 0 {
		t.Fatal("the subscriber saw nothing")
	}
	return p
}

// checkLog checks that nothing is missing, repeated or out of order.
func checkLog(t *testing.T, log []trial.Said) {
	t.Helper()
	version, ended := map[string]uint64{}, map[string]string{}
	for i, m := range log {
		if m.Seq != uint64(i+1) {
			t.Fatalf("event %d has seq %d", i+1, m.Seq)
		}
		if end := ended[m.Job]; end != "" {
			t.Errorf("%s: %s after %s", m.Job, m.Type, end)
		}
		if m.Lasting() {
			version[m.Job]++
		}
		if m.Version != version[m.Job] {
			t.Errorf("%s: %s has version %d, expected %d", m.Job, m.Type, m.Version, version[m.Job])
		}
		if m.Final() {
			ended[m.Job] = m.Type
		}
	}
}

// checkJobs checks that there are just the jobs of the book, that each has succeeded,
// and with the right answer.
func checkJobs(t *testing.T, h *trial.Hub, b *trial.Book, log []trial.Said, files map[string]string, names []string) {
	t.Helper()
	docs := map[string]client.Job{}
	for _, j := range h.Jobs() {
		docs[j.ID] = j
		if j.State != "succeeded" {
			t.Errorf("%s %s: %v", j.ID, j.State, j.Error)
		}
	}
	if len(docs) != len(b.Bodies) {
		t.Errorf("there are %d jobs, of %d submissions", len(docs), len(b.Bodies))
	}
	outputs := outputsOf(t, log)
	for key, id := range b.IDs {
		j, ok := docs[id]
		if !ok {
			t.Errorf("%s (%s) is gone", key, id)
		}
		kind, number, _ := strings.Cut(key, "-")
		var want string
		switch kind {
		case "held":
			want = heldAnswer(number)
			if got := outputs[id]; got != want {
				t.Errorf("%s: the output of its last run is %q", key, got)
			}
			if j.Attempt != 1 {
				t.Errorf("%s: the kill cost it an attempt, it has %d", key, j.Attempt)
			}
		case "later":
			want = files["a.txt"]
		case "file":
			var n int
			fmt.Sscan(number, &n)
			want = files[names[n%3]]
		}
		a := h.Call("GET", "/v1/jobs/"+id+"/response", "")
		if a.Status != 200 || a.Header.Get("AsyncResult") != "200" || string(a.Body) != want {
			t.Errorf("%s: the answer is %d %q, expected %q", key, a.Status, a.Body, want)
		}
	}
}

// outputsOf is what each job wrote since it was last started.
func outputsOf(t *testing.T, log []trial.Said) map[string]string {
	t.Helper()
	written := map[string]*strings.Builder{}
	for _, m := range log {
		switch m.Type {
		case "job.started":
			written[m.Job] = &strings.Builder{}
		case "job.output":
			var o struct {
				Off  int    `json:"off"`
				Text string `json:"text"`
			}
			if err := json.Unmarshal(m.Data, &o); err != nil {
				t.Fatal(err)
			}
			if w := written[m.Job]; o.Off != w.Len() {
				t.Errorf("%s: output at %d, expected %d", m.Job, o.Off, w.Len())
			} else {
				io.WriteString(w, o.Text)
			}
		}
	}
	out := map[string]string{}
	for id, w := range written {
		out[id] = w.String()
	}
	return out
}
