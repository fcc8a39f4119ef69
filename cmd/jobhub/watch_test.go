package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// stage is a hub that knows one job and plays the same frames to every watcher.
func stage(t *testing.T, job string, frames ...string) (server string) {
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/jobs/{id}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != "j1" {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(404)
			io.WriteString(w, `{"title":"Not found","detail":"There is no such job.","code":"not_found"}`)
			return
		}
		io.WriteString(w, job)
	})
	mux.HandleFunc("GET /v1/jobs", http.NotFound)
	mux.HandleFunc("POST /v1/jobs", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		t.Logf("submitted %s", body)
		w.WriteHeader(202)
		io.WriteString(w, job)
	})
	mux.HandleFunc("POST /v1/jobs/j1/cancel", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, job) })
	mux.HandleFunc("/v1/ws", func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"jobhub.v1"}})
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.CloseNow()
		conn.Write(r.Context(), websocket.MessageText, []byte(`{"type":"welcome","v":1,"conn":"c","epoch":"e","seq":1,"ping":25}`))
		conn.Read(r.Context())
		for _, f := range frames {
			conn.Write(r.Context(), websocket.MessageText, []byte(f))
		}
		conn.Read(r.Context())
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

// command runs a command of the program and returns what it printed.
func command(t *testing.T, run func(context.Context, []string, io.Writer, io.Writer) int, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

const running = `{"id":"j1","kind":"http","queue":"orders","state":"running","attempt":1,"max_attempts":5,"tags":["a"],"links":{"self":"/v1/jobs/j1","html":"/jobs/j1"}}`

var life = []string{
	`{"type":"subscribed","id":"w","epoch":"e","seq":1}` + "\n" + `{"type":"state","id":"w","job":"j1","seq":1,"version":1,"data":` + running + `}` + "\n" + `{"type":"live","id":"w","seq":1}`,
	`{"type":"job.progress","epoch":"e","seq":2,"job":"j1","queue":"orders","version":1,"at":"2026-01-02T03:04:05Z","data":{"percent":40,"message":"page 4\u001b[2J"}}`,
	`{"type":"job.output","epoch":"e","seq":3,"job":"j1","queue":"orders","version":1,"at":"2026-01-02T03:04:05Z","data":{"attempt":1,"off":0,"stream":"body","text":"a\nb"}}`,
	`{"type":"job.failed","epoch":"e","seq":4,"job":"j1","queue":"orders","version":2,"at":"2026-01-02T03:04:05Z","data":{"state":"failed","reason":"exhausted","error":{"title":"Bad gateway","detail":"502","code":"internal"}}}`,
}

func TestWatchJob(t *testing.T) {
	server := stage(t, running, life...)
	code, out, errs := command(t, runWatch, "j1", "--server", server)
	if code != 1 || errs != "" {
		t.Errorf("code %d, %s", code, errs)
	}
	out = regexp.MustCompile(`(?m)^\d\d:\d\d:\d\d\.\d\d\d`).ReplaceAllString(out, "T")
	want := `T       1  running
T       2  progress          40 %  page 4·[2J
T       3  output            body "a\nb"
T       4  failed            exhausted: Bad gateway: 502
`
	if out != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
}

func TestWatchWide(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var errs bytes.Buffer
	out := &until{text: "failed", then: cancel}
	if code := runWatch(ctx, []string{"--queue", "orders", "--server", stage(t, running, life...)}, out, &errs); code != 0 {
		t.Errorf("code %d", code)
	}
	if want := "To continue from here: jobhub watch --queue orders --since e:4\n"; errs.String() != want {
		t.Errorf("said %q", errs.String())
	}
	if !strings.Contains(out.String(), "failed            orders        j1                                    exhausted") {
		t.Errorf("printed\n%s", out)
	}
}

// until is a buffer that does something when a text has been written.
type until struct {
	bytes.Buffer
	text string
	then func()
}

func (u *until) Write(p []byte) (int, error) {
	n, err := u.Buffer.Write(p)
	if bytes.Contains(p, []byte(u.text)) {
		u.then()
	}
	return n, err
}

func TestWatchRaw(t *testing.T) {
	code, out, _ := command(t, runWatch, "--raw", "j1", "--server", stage(t, running, life...))
	lines := strings.Split(out, "\n")
	if code != 1 || len(lines) != 9 {
		t.Fatalf("code %d:\n%s", code, out)
	}
	for i, want := range []string{`< {"type":"welcome"`, `> {"type":"subscribe","id":"w","job":"j1","snapshot":true}`, `< {"type":"subscribed"`, `  {"type":"state"`, `  {"type":"live"`, `< {"type":"job.progress"`} {
		if !strings.HasPrefix(lines[i], want) {
			t.Errorf("line %d is %s", i, lines[i])
		}
	}
}

// A job that ended before the position to resume from has nothing more to tell.
func TestWatchEndedBefore(t *testing.T) {
	server := stage(t, strings.Replace(running, "running", "succeeded", 1), `{"type":"subscribed","id":"w","epoch":"e","seq":9,"recovered":true}`+"\n"+`{"type":"live","id":"w","seq":9}`)
	if code, out, errs := command(t, runWatch, "j1", "--since", "e:9", "--server", server); code != 0 || out != "" || errs != "" {
		t.Errorf("code %d, printed %q, said %q", code, out, errs)
	}
}

func TestCommandsSayWhatToDo(t *testing.T) {
	server := stage(t, running)
	for line, want := range map[string]string{
		"watch nobody":                     "jobhub watch: Not found: There is no such job.\n",
		"watch j1 --all":                   "jobhub watch: want one of JOB-ID, --queue and --all\n",
		"cancel":                           "jobhub cancel: want the ID of at least one job; `jobhub jobs` lists them\n",
		"submit k {":                       "jobhub submit: the input is not JSON: {\nA text needs double quotes inside the shell's quotes: '\"text\"'\n",
		"jobs --server http://127.0.0.1:1": "jobhub jobs: no hub answers at http://127.0.0.1:1 (connect: connection refused); start one with `jobhub serve` or give --server\n",
		"jobs":                             "jobhub jobs: The server answered 404 Not Found: 404 page not found\n",
	} {
		args := strings.Fields(line)
		if !strings.Contains(line, "--server") {
			args = append(args, "--server", server)
		}
		run := map[string]func(context.Context, []string, io.Writer, io.Writer) int{"watch": runWatch, "cancel": runCancel, "submit": runSubmit, "jobs": runJobs}[args[0]]
		code, out, errs := command(t, run, args[1:]...)
		if code == 0 || out != "" || errs != want {
			t.Errorf("%s: code %d, printed %q, said %q", line, code, out, errs)
		}
	}
}
