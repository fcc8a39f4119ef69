package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"jobhub/web/client"
)

// The end-to-end tests run the real program and talk to it as its users do. This file
// is what they share.

// patience is how long a test waits for what should come at once.
const patience = 20 * time.Second

// The program as released, and one whose store does not flush its commits.
var program, sabotaged string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "jobhub-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		program, sabotaged = filepath.Join(dir, "jobhub"), filepath.Join(dir, "jobhub-nosync")
		for path, tags := range map[string]string{program: "", sabotaged: "sabotage_nosync"} {
			if out, err := exec.Command("go", "build", "-buildvcs=false", "-tags", tags, "-o", path, ".").CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "go build -tags %q: %v\n%s", tags, err, out)
				return 1
			}
		}
		return m.Run()
	}())
}

// text is what a process has printed so far.
type text struct {
	mu    sync.Mutex // protects the fields below
	bytes []byte
	grown chan struct{} // closed and replaced by every write
}

func newText() *text { return &text{grown: make(chan struct{})} }

func (o *text) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes = append(o.bytes, p...)
	close(o.grown)
	o.grown = make(chan struct{})
	return len(p), nil
}

func (o *text) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.bytes)
}

// process is a program that a test started.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout *text
	stderr *text
	ended  chan struct{}
}

func start(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{t: t, cmd: cmd, stdout: newText(), stderr: newText(), ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr, cmd.Dir = p.stdout, p.stderr, t.TempDir()
	cmd.Env = append(cleanEnv(), cmd.Env...)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() { p.signal(syscall.SIGKILL) })
	return p
}

// cleanEnv is the environment without what would set flags of the program.
func cleanEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "JOBHUB_") || strings.HasPrefix(v, "OTEL_") })
}

// matched waits for a match in what the process has printed and returns its groups.
func (p *process) matched(out *text, pattern string) []string {
	p.t.Helper()
	re, late := regexp.MustCompile(pattern), time.After(patience)
	for {
		out.mu.Lock()
		found, grown := re.FindSubmatch(bytes.Clone(out.bytes)), out.grown
		out.mu.Unlock()
		if found != nil {
			groups := make([]string, len(found))
			for i := range found {
				groups[i] = string(found[i])
			}
			return groups
		}
		select {
		case <-grown:
		case <-p.ended:
			if !re.MatchString(out.String()) {
				p.t.Fatalf("%s ended (%v) without printing %s\n%s%s", p.cmd, p.cmd.ProcessState, pattern, p.stdout, p.stderr)
			}
		case <-late:
			p.t.Fatalf("%s did not print %s\n%s%s", p.cmd, pattern, p.stdout, p.stderr)
		}
	}
}

// signal sends a signal to the process, or to all of its group if it leads one, and
// waits for the end.
func (p *process) signal(s syscall.Signal) {
	select {
	case <-p.ended:
		return
	default:
	}
	syscall.Kill(p.target(), s)
	p.wait()
}

func (p *process) target() int {
	if a := p.cmd.SysProcAttr; a != nil && a.Setpgid {
		return -p.cmd.Process.Pid
	}
	return p.cmd.Process.Pid
}

// wait waits for the end and returns the exit code.
func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		syscall.Kill(p.target(), syscall.SIGKILL)
		p.t.Errorf("%s did not end\n%s%s", p.cmd, p.stdout, p.stderr)
		<-p.ended
	}
	return p.cmd.ProcessState.ExitCode()
}

// run runs the program to its end.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := start(t, exec.Command(program, args...))
	code = p.wait()
	return code, p.stdout.String(), p.stderr.String()
}

// hub is a running jobhub serve.
type hub struct {
	*process
	addr   string
	url    string
	data   string
	more   []string // further arguments
	client client.Client
}

func startHub(t *testing.T) *hub {
	t.Helper()
	return startHubAt(t, freeAddr(t), t.TempDir())
}

func startHubAt(t *testing.T, addr, data string, more ...string) *hub {
	t.Helper()
	h := &hub{addr: addr, data: data, more: more}
	h.process = start(t, exec.Command(program, h.args()...))
	t.Cleanup(func() {
		for _, word := range []string{"level=ERROR", "panic:", "DATA RACE"} {
			if strings.Contains(h.stderr.String(), word) {
				t.Errorf("the hub says\n%s", h.stderr)
			}
		}
	})
	h.url = h.matched(h.stdout, `ready at (http://\S+)\n`)[1]
	h.client = client.Client{Base: h.url}
	return h
}

func (h *hub) args() []string {
	return append([]string{"serve", "--addr", h.addr, "--data", h.data, "--egress-allow", "127.0.0.0/8", "--grace", "1s"}, h.more...)
}

// restart starts the hub again where it was, after its end.
func (h *hub) restart() *hub {
	h.t.Helper()
	return startHubAt(h.t, h.addr, h.data, h.more...)
}

// freeAddr returns a loopback address that nobody uses. It lies below the ports that
// the kernel gives to clients: else, while the hub is down, a client that connects to
// it could be given the hub's own port and keep it.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20_000+rand.IntN(12_000))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

// answer is what the hub said to a request.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send sends a request with headers given as "Name: value".
func (h *hub) send(ctx context.Context, method, path, body string, headers ...string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, h.url+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Set(name, value)
		if name == "Host" {
			req.Host = value
		}
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, text}, err
}

// call is send for a hub that has to answer.
func (h *hub) call(method, path, body string, headers ...string) answer {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	a, err := h.send(ctx, method, path, body, headers...)
	if err != nil {
		h.t.Fatalf("%s %s: %v\n%s", method, path, err, h.stderr)
	}
	return a
}

const isJSON = "Content-Type: application/json"

// submit hands in a job that has to be accepted.
func (h *hub) submit(body string, headers ...string) client.Job {
	h.t.Helper()
	a := h.call("POST", "/v1/jobs", body, append(headers, isJSON)...)
	if a.status != http.StatusAccepted {
		h.t.Fatalf("submitting %s: %d %s", body, a.status, a.body)
	}
	var j client.Job
	h.decode(a.body, &j)
	return j
}

// await returns a job as soon as it is as wanted.
func (h *hub) await(id string, wanted func(client.Job) bool) client.Job {
	h.t.Helper()
	late := time.Now().Add(patience)
	path := "/v1/jobs/" + id
	for {
		var j client.Job
		h.decode(h.call("GET", path, "", "Prefer: wait=5").body, &j)
		switch {
		case wanted(j):
			return j
		case j.Final() || time.Now().After(late):
			h.t.Fatalf("job is %s", j.Raw)
		}
		path = fmt.Sprintf("/v1/jobs/%s?version=%d", id, j.Version)
	}
}

func inState(state string) func(client.Job) bool {
	return func(j client.Job) bool { return j.State == state }
}

// jobs returns all jobs of the hub, page by page.
func (h *hub) jobs() (all []client.Job) {
	h.t.Helper()
	for o := (client.ListOptions{Limit: 500}); ; {
		page, err := h.client.Jobs(h.t.Context(), o)
		if err != nil {
			h.t.Fatal(err)
		}
		all = append(all, page.Jobs...)
		if o.Cursor = page.NextCursor; o.Cursor == "" {
			return all
		}
	}
}

func (h *hub) decode(text []byte, v any) {
	h.t.Helper()
	if err := json.Unmarshal(text, v); err != nil {
		h.t.Fatalf("%v: %s", err, text)
	}
}

// serve is an upstream whose requests end with the test.
func serve(t *testing.T, handler http.Handler) *httptest.Server {
	srv := httptest.NewServer(handler)
	t.Cleanup(func() {
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv
}

// soon takes what should come at once out of a channel, or waits for it to be closed.
func soon[T any](t *testing.T, c <-chan T) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatal("it did not come")
	}
}

// httpJob is a submission of kind http. More are further members.
func httpJob(url, more string) string {
	quoted, _ := jsontext.AppendQuote(nil, url)
	return fmt.Sprintf(`{"kind":"http","input":{"method":"GET","url":%s}%s}`, quoted, more)
}

// socket is a connection to the hub's WebSocket, without the client's help.
type socket struct {
	*websocket.Conn
	due []jsontext.Value // of the frame last read
}

// said is a message of the hub.
type said struct {
	client.Message
	ID string `json:"id"`
}

func (h *hub) dial(query string) *socket {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, h.url+"/v1/ws?"+query, &websocket.DialOptions{Subprotocols: []string{"jobhub.v1"}})
	if err != nil {
		h.t.Fatal(err)
	}
	conn.SetReadLimit(64 << 20)
	h.t.Cleanup(func() { conn.CloseNow() })
	return &socket{Conn: conn}
}

// read returns the next message.
func (s *socket) read(ctx context.Context) (m said, err error) {
	for len(s.due) == 0 {
		_, frame, err := s.Read(ctx)
		if err != nil {
			return m, err
		}
		for d := jsontext.NewDecoder(bytes.NewReader(frame)); ; {
			v, err := d.ReadValue()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return m, err
			}
			s.due = append(s.due, v.Clone())
		}
	}
	v := s.due[0]
	s.due = s.due[1:]
	return m, json.Unmarshal(v, &m)
}
