package main_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/go-json-experiment/json"

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
	p := start(t, exec.Command(python, "-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory", dir, "0"))
	return "http://127.0.0.1:" + p.matched(p.stdout, `port (\d+) `)[1]
}

// gate is an upstream that answers only once it is open.
type gate struct {
	*httptest.Server
	arrived chan struct{} // an element for each request
	waiting atomic.Int64
	opened  chan struct{}
	known   sync.Map // paths of flaky requests that came before
}

func newGate(t *testing.T) *gate {
	g := &gate{arrived: make(chan struct{}, 1000), opened: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("/held/{n}", g.held)
	mux.HandleFunc("/flaky/{n}", func(w http.ResponseWriter, r *http.Request) {
		if _, again := g.known.LoadOrStore(r.URL.Path, true); !again {
			http.Error(w, "try again", http.StatusServiceUnavailable)
		}
	})
	g.Server = serve(t, mux)
	return g
}

// held answers in two lines, the second of them once the gate is open.
func (g *gate) held(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	fmt.Fprintf(w, "%q\n", "first of "+r.PathValue("n"))
	http.NewResponseController(w).Flush()
	g.waiting.Add(1)
	defer g.waiting.Add(-1)
	g.arrived <- struct{}{}
	select {
	case <-g.opened:
		fmt.Fprintf(w, "%q\n", "second of "+r.PathValue("n"))
	case <-r.Context().Done():
	}
}

func heldAnswer(n string) string { return fmt.Sprintf("%q\n%q\n", "first of "+n, "second of "+n) }

// book is what a test submitted: bodies by idempotency key, and the ids in the 202s.
type book struct {
	mu     sync.Mutex // protects the fields below
	bodies map[string]string
	ids    map[string]string
}

// submit enters a submission and its 202. It reports false if there was none.
func (b *book) submit(ctx context.Context, h *hub, key, body string) bool {
	b.mu.Lock()
	b.bodies[key] = body
	b.mu.Unlock()
	a, err := h.send(ctx, "POST", "/v1/jobs", body, isJSON, "Idempotency-Key: "+key)
	if err != nil || a.status != http.StatusAccepted {
		return false
	}
	var j client.Job
	if json.Unmarshal(a.body, &j) != nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ids[key] = j.ID
	return true
}

func (b *book) unknown() (keys []string) {
	for key := range b.bodies {
		if b.ids[key] == "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// TestKill kills the hub with SIGKILL in the middle of its work. Every job it had
// accepted ends once, and a subscriber sees every event once and in order.
func TestKill(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.txt": "the first file\n", "b.json": `{"second":"file"}`, "c.bin": strings.Repeat("\x00\xff", 5000)}
	python := pythonFiles(t, files)
	names := []string{"a.txt", "b.json", "c.bin"}
	g := newGate(t)
	h := startHub(t)
	b := &book{bodies: map[string]string{}, ids: map[string]string{}}
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()

	watching := h.dial("all=1&progress=all")
	var before []said
	cut := make(chan error, 1)
	go func() {
		for {
			m, err := watching.read(ctx)
			if err != nil {
				cut <- err
				return
			}
			before = append(before, m)
		}
	}()

	accept := func(key, body string) {
		if !b.submit(ctx, h, key, body) {
			t.Fatalf("%s was not accepted\n%s", key, h.stderr)
		}
	}
	for n := range heldJobs {
		accept(fmt.Sprintf("held-%d", n), httpJob(fmt.Sprintf("%s/held/%d", g.URL, n), `,"queue":"held"`))
	}
	for n := range laterJobs {
		accept(fmt.Sprintf("later-%d", n), httpJob(python+"/a.txt", `,"queue":"later","delay":"2s"`))
	}
	for n := range flakyJobs {
		accept(fmt.Sprintf("flaky-%d", n), httpJob(fmt.Sprintf("%s/flaky/%d", g.URL, n), `,"queue":"flaky","retry":{"initial":"1s"}`))
	}
	for range heldJobs {
		soon(t, g.arrived)
	}

	// Several clients submit; the hub dies in the middle of it.
	var clients sync.WaitGroup
	var next, accepted, unfinished atomic.Int64
	for range 6 {
		clients.Go(func() {
			for n := next.Add(1); n <= fileJobs; n = next.Add(1) {
				// Python's server drops connections when too many come at once.
				body := httpJob(python+"/"+names[n%3], `,"queue":"files","retry":{"initial":"50ms","max_attempts":20}`)
				if b.submit(ctx, h, fmt.Sprintf("file-%d", n), body) && accepted.Add(1) == fileJobs/2 {
					unfinished.Store(g.waiting.Load())
					h.signal(syscall.SIGKILL)
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
	unknown := b.unknown()
	open := map[string]bool{}
	for _, id := range b.ids {
		open[id] = true
	}
	for _, m := range before {
		if m.Final() {
			delete(open, m.Job)
		}
	}
	t.Logf("killed with %d jobs accepted, %d of them not seen to end (%d certainly unfinished), and %d submissions without an answer",
		len(b.ids), len(open), unfinished.Load(), len(unknown))

	close(g.opened)
	h = h.restart()
	last := position(t, before)
	resumed := h.dial(fmt.Sprintf("all=1&progress=all&epoch=%s&seq=%d", last.Epoch, last.Seq))
	for _, key := range unknown {
		accept(key, b.bodies[key])
		open[b.ids[key]] = true
	}
	var after []said
	for len(open) > 0 {
		m, err := resumed.read(ctx)
		if err != nil {
			t.Fatalf("%v; these never ended: %v\n%s", err, open, h.stderr)
		}
		if m.Type == client.Subscribed && (m.Recovered == nil || !*m.Recovered) {
			t.Fatalf("the subscriber could not resume: %s", m.Reason)
		}
		after = append(after, m)
		if m.Final() {
			delete(open, m.Job)
		}
	}

	seen := events(append(before, after...))
	whole := h.whole(ctx, last.Epoch)
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
func position(t *testing.T, messages []said) (p client.Position) {
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

func events(messages []said) (out []said) {
	for _, m := range messages {
		if m.Event() {
			out = append(out, m)
		}
	}
	return out
}

// whole reads all of the log.
func (h *hub) whole(ctx context.Context, epoch string) []said {
	h.t.Helper()
	s := h.dial("all=1&progress=all&seq=0&epoch=" + epoch)
	var all []said
	for {
		m, err := s.read(ctx)
		if err != nil {
			h.t.Fatal(err)
		}
		if m.Type == client.Subscribed && (m.Recovered == nil || !*m.Recovered) {
			h.t.Fatalf("the log can't be read from its beginning: %s", m.Reason)
		}
		if m.Type == client.Live {
			return events(all)
		}
		all = append(all, m)
	}
}

// checkLog checks that nothing is missing, repeated or out of order.
func checkLog(t *testing.T, log []said) {
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
func checkJobs(t *testing.T, h *hub, b *book, log []said, files map[string]string, names []string) {
	t.Helper()
	docs := map[string]client.Job{}
	for _, j := range h.jobs() {
		docs[j.ID] = j
		if j.State != "succeeded" {
			t.Errorf("%s %s: %v", j.ID, j.State, j.Error)
		}
	}
	if len(docs) != len(b.bodies) {
		t.Errorf("there are %d jobs, of %d submissions", len(docs), len(b.bodies))
	}
	outputs := outputsOf(t, log)
	for key, id := range b.ids {
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
		a := h.call("GET", "/v1/jobs/"+id+"/response", "")
		if a.status != 200 || a.header.Get("AsyncResult") != "200" || string(a.body) != want {
			t.Errorf("%s: the answer is %d %q, expected %q", key, a.status, a.body, want)
		}
	}
}

// outputsOf is what each job wrote since it was last started.
func outputsOf(t *testing.T, log []said) map[string]string {
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
