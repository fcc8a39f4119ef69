package clients

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/cmd/jobhub/e2e/trial"
	"jobhub/web/client"
)

// foreign is a client that nobody here wrote. What it says comes line by line.
type foreign interface {
	open(path string) // a WebSocket
	send(text string)
	beat() bool // sends a ping of RFC 6455, if it can
	next() string
}

// TestForeignSockets plays one scenario with the WebSockets of others.
func TestForeignSockets(t *testing.T) {
	for name, connect := range map[string]func(*testing.T, *proxy) foreign{
		"npm ws": func(t *testing.T, p *proxy) foreign { return startLines(t, p, "node", "live_socket.cjs") },
		"python websockets": func(t *testing.T, p *proxy) foreign {
			return startLines(t, p, pythonWith(t, "websockets"), "live_socket.py")
		},
		"chromium": func(t *testing.T, p *proxy) foreign { return newListenerTab(t, p) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, s := trial.StartHub(t), trial.NewStream(t)
			p := newProxy(t, h.Addr)
			c := &listener{foreign: connect(t, p), t: t}
			foreignScenario(t, h, s, p, c)
		})
	}
}

func foreignScenario(t *testing.T, h *trial.Hub, s *trial.Stream, p *proxy, c *listener) {
	c.open("/v1/ws?queue=foreign&progress=all")
	welcome := c.hear("welcome")
	c.hear("subscribed")
	c.hear("live")
	c.say(`{"type":"subscribe","id":"tag","tag":"live","snapshot":true}`)
	c.hear("live")
	c.say(`{"type":"ping","t":{"a":[1.10]}}`)
	if pong := c.hear("pong"); !strings.Contains(pong.raw, `"t":{"a":[1.10]}`) {
		t.Errorf("the pong is %s", pong.raw)
	}
	if c.beat() {
		if got := c.next(); got != "beat tick" {
			t.Errorf("a ping is answered with %s", got)
		}
	}

	c.say(`{"type":"submit","id":"job","watch":true,"job":%s}`, trial.HTTPJob(s.URL, `,"queue":"foreign","tags":["live"]`))
	reply := c.hear("reply")
	var accepted client.Job
	h.Decode(reply.Data, &accepted)
	c.hear("live") // the job is subscribed to three times, and its events come once
	s.Say(t, `{"percent":40,"message":"page 4"}`)
	c.hear("job.progress")
	s.Say(t, `"before the cut"`)
	c.hear("job.output")

	p.cut()
	c.hear("closed")
	s.Say(t, `"while it was cut"`)
	awaitEvent(h, accepted, `job\.output .*while it was cut`)
	c.resume(t, welcome.Epoch)
	if m := c.hear("job.output"); !strings.Contains(m.raw, "while it was cut") {
		t.Errorf("after the cut came %s", m.raw)
	}
	c.hear("live")

	c.say(`{"type":"cancel","id":"stop","job":"%s"}`, accepted.ID)
	c.hear("reply")
	if m := c.hear("job.cancelled"); m.Job != accepted.ID || !strings.Contains(m.raw, `"reason":"user"`) {
		t.Errorf("got %s", m.raw)
	}

	syscall.Kill(h.Cmd.Process.Pid, syscall.SIGTERM)
	if m := c.hear("reconnect"); !strings.Contains(m.raw, `"after_ms":`) {
		t.Errorf("got %s", m.raw)
	}
	if m := c.hear("closed"); m.raw != "closed 1012" {
		t.Errorf("the drain ends with %s", m.raw)
	}
	h.Wait()
	h = h.Restart()
	last := h.Submit(`{"kind":"nobody","queue":"foreign"}`)
	c.resume(t, welcome.Epoch)
	if m := c.hear("job.queued"); m.Job != last.ID {
		t.Errorf("got %s, want %s", m.raw, last.ID)
	}
	c.hear("live")

	ctx, cancel := context.WithTimeout(t.Context(), trial.Patience)
	defer cancel()
	c.check(h.Whole(ctx, welcome.Epoch))
}

// listener keeps what a foreign client got.
type listener struct {
	foreign
	t      *testing.T
	events []trial.Said
	seq    uint64
	block  string // id of the subscription whose block is under way
	talk   []string
}

type heardLine struct {
	trial.Said
	raw string
}

func (c *listener) say(format string, args ...any) {
	c.talk = append(c.talk, "> "+fmt.Sprintf(format, args...))
	c.send(fmt.Sprintf(format, args...))
}

// hear reads up to and with the next message of a type, or the close.
func (c *listener) hear(kind string) heardLine {
	c.t.Helper()
	for {
		text := c.next()
		c.talk = append(c.talk, text)
		raw, message := strings.CutPrefix(text, "< ")
		l := heardLine{raw: raw}
		switch {
		case message:
			if err := json.Unmarshal([]byte(raw), &l.Said); err != nil {
				c.t.Fatalf("%v in %s", err, raw)
			}
		case strings.HasPrefix(text, "closed"):
			l.Type = "closed"
		default:
			l.Type = text
		}
		switch l.Type {
		case client.Subscribed:
			c.block = l.ID
		case client.Live:
			c.block = ""
		}
		if l.Event() && (c.block == "" || c.block == "q") { // the replay of another subscription repeats what is known
			c.events = append(c.events, l.Said)
		}
		if l.Event() || l.Type == client.Live {
			c.seq = max(c.seq, l.Seq)
		}
		if l.Type == kind {
			return l
		}
		if l.Type == "error" || l.Type == "closed" || text == "" {
			c.t.Fatalf("got %q instead of %s, after\n%s", text, kind, strings.Join(c.talk, "\n"))
		}
	}
}

// resume connects again, after the last event.
func (c *listener) resume(t *testing.T, epoch string) {
	t.Helper()
	c.open(fmt.Sprintf("/v1/ws?queue=foreign&epoch=%s&seq=%d", epoch, c.seq))
	if m := c.hear("subscribed"); m.Recovered == nil || !*m.Recovered || m.Seq != c.seq {
		t.Errorf("resuming at %d gives %s", c.seq, m.raw)
	}
}

// check compares what came with the log.
func (c *listener) check(log []trial.Said) {
	c.t.Helper()
	var got, want []uint64
	for _, m := range c.events {
		if m.Type != "job.progress" {
			got = append(got, m.Seq)
		}
	}
	for _, m := range log {
		if m.Queue == "foreign" && m.Type != "job.progress" {
			want = append(want, m.Seq)
		}
	}
	if !slices.Equal(got, want) {
		c.t.Errorf("got the events %v, want %v", got, want)
	}
}

// lines is a foreign client in a process of its own.
type lines struct {
	*trial.Process
	base string
	in   io.Writer
	read int // bytes of stdout
}

// pythonWith is a Python that has a module: Debian's has what its packages install.
func pythonWith(t *testing.T, module string) string {
	t.Helper()
	for _, python := range []string{"python3", "/usr/bin/python3"} {
		if exec.Command(python, "-c", "import "+module).Run() == nil {
			return python
		}
	}
	t.Fatalf("this test needs Python's %s; on Debian: apt-get install python3-%s", module, module)
	return ""
}

func startLines(t *testing.T, p *proxy, interpreter, script string) *lines {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", script))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := exec.LookPath(interpreter); err != nil {
		t.Fatalf("this test needs %s: make tools", interpreter)
	}
	cmd := exec.Command(interpreter, path)
	cmd.Env = []string{"NODE_PATH=/usr/share/nodejs"}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	return &lines{Process: trial.Start(t, cmd), base: "ws://" + p.addr, in: in}
}

func (l *lines) command(text string) {
	l.T.Helper()
	if _, err := io.WriteString(l.in, text+"\n"); err != nil {
		l.T.Fatalf("%v\n%s", err, l.Stderr)
	}
}

func (l *lines) open(path string) {
	l.T.Helper()
	l.command("open " + l.base + path)
	if got := l.next(); got != "open" {
		l.T.Fatalf("%s: %s\n%s", path, got, l.Stderr)
	}
}

func (l *lines) send(text string) { l.command("send " + text) }

func (l *lines) beat() bool { l.command("beat"); return true }

func (l *lines) next() string {
	l.T.Helper()
	for late := time.After(trial.Patience); ; {
		said, grown := l.Stdout.Now()
		if text, _, whole := strings.Cut(said[l.read:], "\n"); whole {
			l.read += len(text) + 1
			return text
		}
		select {
		case <-grown:
		case <-l.Ended:
			l.T.Fatalf("it ended: %s", l.Stderr)
		case <-late:
			l.T.Fatalf("it says nothing more after\n%s%s", l.Stdout, l.Stderr)
		}
	}
}

// tab is a page of Chromium that opens connections of its own.
type tab struct{ *trial.Page }

func newListenerTab(t *testing.T, p *proxy) *tab {
	t.Helper()
	b := &tab{trial.OpenBrowser(t)}
	b.Page.Open("http://" + p.addr + "/")
	b.Evaluate(`void (window.said = [], window.waiting = undefined, window.say = (text) => {
		window.said.push(text);
		if (window.waiting) { window.waiting(); window.waiting = undefined; }
	})`)
	return b
}

func (b *tab) open(path string) {
	b.T.Helper()
	b.Evaluate(fmt.Sprintf(`new Promise((done) => {
		const s = window.socket = new WebSocket("ws://" + location.host + %s, "jobhub.v1");
		s.onopen = () => done();
		s.onmessage = (e) => e.data.split("\n").forEach((line) => say("< " + line));
		s.onclose = (e) => { say("closed " + e.code); done(); };
	})`, trial.Quote(path)))
}

// follow opens an EventSource, which reconnects by itself.
func (b *tab) follow(path string) {
	b.T.Helper()
	b.Evaluate(fmt.Sprintf(`void (() => {
		const s = window.source = new EventSource(%s);
		s.onopen = () => say("open");
		s.onmessage = (e) => say("< " + e.data);
		s.onerror = () => say(s.readyState === EventSource.CLOSED ? "closed" : "lost");
	})()`, trial.Quote(path)))
}

func (b *tab) send(text string) { b.Evaluate(fmt.Sprintf(`void socket.send(%s)`, trial.Quote(text))) }

func (b *tab) beat() bool { return false }

func (b *tab) next() string {
	b.T.Helper()
	return b.Evaluate(`(said.length ? Promise.resolve() : new Promise((done) => { window.waiting = done; })).then(() => said.shift())`)
}

// TestForeignEventSource: Chromium's EventSource reconnects by itself after a cut and
// after a restart of the hub, and misses nothing.
func TestForeignEventSource(t *testing.T) {
	t.Parallel()
	h, s := trial.StartHub(t), trial.NewStream(t)
	p := newProxy(t, h.Addr)
	b := newListenerTab(t, p)
	b.follow("/v1/events?queue=foreign")
	c := &listener{foreign: b, t: t}
	epoch := c.hear("subscribed").Epoch
	c.hear("live")
	job := h.Submit(trial.HTTPJob(s.URL, `,"queue":"foreign"`))
	s.Say(t, `"before the cut"`)
	c.hear("job.output")
	p.cut()
	c.hear("lost")
	s.Say(t, `"while it was cut"`)
	if m := c.hear("subscribed"); m.Recovered == nil || !*m.Recovered {
		t.Errorf("after the cut: %s", m.raw)
	}
	if m := c.hear("job.output"); !strings.Contains(m.raw, "while it was cut") {
		t.Errorf("after the cut came %s", m.raw)
	}
	h.Call("POST", "/v1/jobs/"+job.ID+"/cancel", "")
	c.hear("job.cancelled")
	h.Signal(syscall.SIGTERM)
	c.hear("lost")
	h = h.Restart()
	last := h.Submit(`{"kind":"nobody","queue":"foreign"}`)
	if m := c.hear("job.queued"); m.Job != last.ID {
		t.Errorf("got %s, want %s", m.raw, last.ID)
	}
	ctx, cancel := context.WithTimeout(t.Context(), trial.Patience)
	defer cancel()
	c.check(h.Whole(ctx, epoch))
}

// proxy passes connections on, until it cuts them.
type proxy struct {
	addr string

	mu    sync.Mutex // protects conns
	conns map[net.Conn]bool
}

func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String(), conns: map[net.Conn]bool{}}
	var serving sync.WaitGroup
	t.Cleanup(func() { l.Close(); p.cut(); serving.Wait() })
	serving.Go(func() {
		for {
			front, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { p.pass(front, to) })
		}
	})
	return p
}

func (p *proxy) pass(front net.Conn, to string) {
	defer front.Close()
	back, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer back.Close()
	p.mu.Lock()
	p.conns[front], p.conns[back] = true, true
	p.mu.Unlock()
	var there sync.WaitGroup
	there.Go(func() { io.Copy(back, front); back.(*net.TCPConn).CloseWrite() })
	io.Copy(front, bufio.NewReader(back))
	front.Close()
	there.Wait()
	p.mu.Lock()
	delete(p.conns, front)
	delete(p.conns, back)
	p.mu.Unlock()
}

// cut ends all connections without a word.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
}
