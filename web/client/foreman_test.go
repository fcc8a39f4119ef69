package client

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

// down is the status of a call that breaks off without an answer.
const down = -1

// foreman is a hub as its workers see it.
type foreman struct {
	refuse func(path string, n int) int // the status of the nth call of a path that fails; 0 to answer it

	mu        sync.Mutex // protects the fields below
	id        int        // of the worker, which it forgets when this rises
	jobs      []string   // to hand out
	states    map[string]string
	directive string
	calls     []string
	counts    map[string]int
	types     map[string]string // the Content-Type that came last at each path
	changed   chan struct{}     // closed and replaced
}

func newForeman(jobs ...string) *foreman {
	f := &foreman{jobs: jobs, states: map[string]string{}, directive: "none", counts: map[string]int{}, types: map[string]string{}, changed: make(chan struct{})}
	f.refuse = func(string, int) int { return 0 }
	return f
}

// task is a job to hand out under a lease.
func task(lease, more string) string {
	return fmt.Sprintf(`{"lease":%q,"id":"job-%[1]s","kind":"k","queue":"q","attempt":1,"max_attempts":5,"timeout":"5m0s","tags":["t"],"input":{"n":1.10},"checkpoint":null%s}`, lease, more)
}

func (f *foreman) tell(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *foreman) said(pattern string) (lines []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, line := range f.calls {
		if regexp.MustCompile(pattern).MatchString(line) {
			lines = append(lines, line)
		}
	}
	return lines
}

func (f *foreman) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, strings.TrimSpace(r.Method+" "+r.URL.Path+" "+string(text)))
	f.counts[r.URL.Path]++
	f.types[r.URL.Path] = r.Header.Get("Content-Type")
	status := f.refuse(r.URL.Path, f.counts[r.URL.Path])
	if status == down {
		panic(http.ErrAbortHandler)
	}
	if status != 0 {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		code := map[int]string{409: "lease_lost", 413: "too_large"}[status]
		fmt.Fprintf(w, `{"title":"Refused","code":%q}`, code)
		return
	}
	path := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	var in struct {
		Max    int
		Wait   string
		Leases []string
	}
	json.Unmarshal(text, &in, json.MatchCaseInsensitiveNames(true))
	wait, _ := time.ParseDuration(in.Wait)
	switch {
	case len(path) == 1:
		f.id++
		fmt.Fprintf(w, `{"worker_id":"w%d","lease":"30s","beat":"10s","poll":"25s"}`, f.id)
	case path[0] == "workers" && path[1] != fmt.Sprint("w", f.id):
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(404)
		io.WriteString(w, `{"title":"Unknown worker","code":"not_found"}`)
	case path[0] == "workers" && len(path) == 2:
		w.WriteHeader(204)
	case path[2] == "lease", path[2] == "beat":
		id := f.id
		for late := time.After(wait); wait > 0 && f.directive == "none" && f.id == id && (path[2] == "beat" || len(f.jobs) == 0) && !f.newsLocked(); {
			changed := f.changed
			f.mu.Unlock()
			select {
			case <-changed:
			case <-late:
				wait = 0
			case <-r.Context().Done():
				wait = 0
			}
			f.mu.Lock()
		}
		n := 0
		if path[2] == "lease" && f.directive == "none" {
			n = min(in.Max, len(f.jobs))
		}
		states, _ := json.Marshal(f.states)
		fmt.Fprintf(w, `{"jobs":[%s],"leases":%s,"directive":%q}`, strings.Join(f.jobs[:n], ","), states, f.directive)
		f.jobs = f.jobs[n:]
		clear(f.states)
	case path[2] == "events":
		var last struct{ N int }
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		json.Unmarshal([]byte(lines[len(lines)-1]), &last, json.MatchCaseInsensitiveNames(true))
		fmt.Fprintf(w, `{"accepted_to":%d,"leases":{%q:"ok"}}`, last.N, path[1])
	case path[2] == "quiet":
		f.directive = "quiet"
		close(f.changed)
		f.changed = make(chan struct{})
		io.WriteString(w, `{"directive":"quiet"}`)
	default:
		io.WriteString(w, `{"id":"j"}`)
	}
}

func (f *foreman) newsLocked() bool { return len(f.states) > 0 }

// work runs a worker against a foreman, in controlled time, until stop is called.
func work(t *testing.T, f *foreman, w Worker) (stop func() error) {
	w.Client, w.Name, w.Kinds = serve(t, f), "test", []string{"k"}
	w.Logger = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	return func() error {
		t.Helper()
		cancel()
		return <-ended
	}
}

func want(t *testing.T, got []string, lines ...string) {
	t.Helper()
	if !slices.Equal(got, lines) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(lines, "\n"))
	}
}
