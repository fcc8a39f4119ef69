package web_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"jobhub/web"
	"jobhub/web/auth"
	"jobhub/web/gateway"
	"jobhub/web/peers"
)

// dialNarrow is a connection whose client takes no more than a few KB unread.
func (w *world) dialNarrow(request string) net.Conn {
	w.t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: narrowAddress}, Control: func(_, _ string, c syscall.RawConn) (err error) {
		if e := c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) }); e != nil {
			return e
		}
		return err
	}}
	conn, err := dialer.DialContext(w.t.Context(), "tcp", w.address())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	if _, err := io.WriteString(conn, request); err != nil {
		w.t.Fatal(err)
	}
	return conn
}

// narrowAddress is where the clients of dialNarrow come from.
var narrowAddress = net.IPv4(127, 0, 0, 2)

// narrowListener makes the kernel take little for the clients of dialNarrow. What the others
// read would take minutes that way.
type narrowListener struct{ net.Listener }

func (l narrowListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if from, ok := c.RemoteAddr().(*net.TCPAddr); ok && from.IP.Equal(narrowAddress) {
		err = c.(*net.TCPConn).SetWriteBuffer(4096)
	}
	return c, err
}

// TestBodiesThatStop: whatever waits for a body says 408 and closes, at the doors of the
// API, the workers, the forms and the login; who may not call hears so at once.
func TestBodiesThatStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := listenPiped()
		w := startIn(t, t.TempDir(), func(parts *parts) { parts.listen = p })
		defer w.close()
		ask := func(request string) (string, time.Duration) {
			c, err := p.dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			from := time.Now()
			go io.WriteString(c, request)
			answer, err := io.ReadAll(c)
			if err != nil {
				t.Error(err)
			}
			return string(answer), time.Since(from)
		}
		stops := func(path, kind, bearer string) string {
			return "POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: " + kind + "\r\nAuthorization: Bearer " + bearer + "\r\nContent-Length: 10000\r\n\r\n{"
		}
		const form = "application/x-www-form-urlencoded"
		admin := w.key(auth.Admin, "default")
		for path, kind := range map[string]string{"/v1/jobs": "application/json", "/v1/batch": "application/json", "/v1/workers": "application/json",
			"/v1/leases/x/events": "application/json", "/v1/queues/q/pause": "application/json", "/jobs/bulk": form, "/login": form} {
			answer, took := ask(stops(path, kind, admin))
			if !strings.HasPrefix(answer, "HTTP/1.1 408 ") || took < 30*time.Second || took > 31*time.Second {
				t.Errorf("%s: %.40q after %s", path, answer, took)
			}
			if path == "/login" {
				continue
			}
			answer, took = ask(stops(path, kind, "jh_wrong"))
			if !strings.HasPrefix(answer, "HTTP/1.1 401 ") || !strings.Contains(answer, "Connection: close") || took > time.Second {
				t.Errorf("%s with a wrong key: %.40q after %s", path, answer, took)
			}
		}
		for status, request := range map[string]string{
			"413": strings.Replace(stops("/v1/jobs", "application/json", admin), "10000", "100000000", 1),
			"415": stops("/v1/jobs", "text/plain", admin),
			"403": stops("/v1/jobs", "application/json", w.key(auth.Viewer, "default")),
			"404": stops("/nothing", "application/json", admin),
		} {
			if answer, took := ask(request); !strings.HasPrefix(answer, "HTTP/1.1 "+status) || took > time.Second {
				t.Errorf("%.40q after %s, want %s at once", answer, took, status)
			}
		}
	})
}

// TestStalledAnswers: clients that take nothing of a long answer are closed, whatever the
// answer is; one that takes some now and then gets all of it.
func TestStalledAnswers(t *testing.T) {
	t.Parallel()
	const limit = 500 * time.Millisecond
	w := startIn(t, t.TempDir(), func(p *parts) { p.web.StallLimit = limit })
	large := fmt.Sprintf(`{"kind":"echo","input":%q}`, strings.Repeat("x", 1<<20))
	id := w.submit(large)
	w.await(id, "succeeded")
	for range 300 {
		w.submit(`{"kind":"nobody","input":"` + strings.Repeat("x", 900) + `"}`)
	}
	f := w.flood()
	f.print(20, 60<<10)
	f.succeed("1")
	w.await(f.id, "succeeded")
	get := func(path string) string { return "GET " + path + " HTTP/1.1\r\nHost: " + w.address() + "\r\n\r\n" }
	batch := fmt.Sprintf(`{"requests":[%s{"method":"GET","path":"/v1/jobs/%s"}]}`, strings.Repeat(fmt.Sprintf(`{"method":"GET","path":"/v1/jobs/%s"},`, id), 3), id)
	held := map[string]net.Conn{}
	for name, request := range map[string]string{
		"job":      get("/v1/jobs/" + id),
		"response": get("/v1/jobs/" + id + "/response"),
		"input":    get("/jobs/" + id + "/input"),
		"result":   get("/jobs/" + id + "/result"),
		"export":   get("/jobs/export.csv"),
		"ndjson":   get("/jobs/export.ndjson"),
		"output":   get("/jobs/" + f.id + "/output"),
		"events":   get("/v1/events?all=1&seq=1&epoch=" + w.hub.Epoch()),
		"list":     get("/v1/jobs?limit=500"),
		"batch":    fmt.Sprintf("POST /v1/batch HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", w.address(), len(batch), batch),
	} {
		held[name] = w.dialNarrow(request)
		if _, err := held[name].Read(make([]byte, 1)); err != nil { // its answer is on its way
			t.Fatal(name, err)
		}
	}
	slow := w.dialNarrow(get("/v1/jobs/" + id + "/response"))
	slow.SetReadDeadline(time.Now().Add(2 * time.Minute))
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	res, err := http.ReadResponse(bufio.NewReaderSize(&paced{slow, pace.C, time.Now().Add(4 * limit)}, 4096), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, res.Body); n < 1<<20 || err != nil {
		t.Errorf("a slow reader got %d bytes, %v", n, err)
	}
	for name, c := range held {
		c.SetReadDeadline(time.Now().Add(patience))
		answer, err := io.ReadAll(c)
		if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Errorf("%s is still open after %d bytes: %.200q", name, len(answer), answer)
		}
		if len(answer) == 0 {
			t.Errorf("%s: nothing came", name)
		}
	}
	if w.Stalled() == 0 { // the kernel may have been quicker for some
		t.Error("none is counted")
	}
}

// TestRouteBodyThatStops: what goes through a route has the same bounds.
func TestRouteBodyThatStops(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }))
	t.Cleanup(up.Close)
	w := startIn(t, t.TempDir(), func(p *parts) { p.web.StallLimit = 300 * time.Millisecond })
	base, err := url.Parse(up.URL)
	if err != nil {
		t.Fatal(err)
	}
	w.Apply(web.Settings{}, []gateway.Route{{Path: "/up/", Upstream: base}})
	head := "POST /up/ HTTP/1.1\r\nHost: " + w.address() + "\r\nContent-Length: 100000\r\n"
	if answer := w.rawAnswer(head + "\r\nx"); !strings.HasPrefix(answer, "HTTP/1.1 408 ") {
		t.Errorf("%.200q", answer)
	}
	if answer := w.rawAnswer(head + "Prefer: respond-async\r\n\r\nx"); !strings.HasPrefix(answer, "HTTP/1.1 408 ") {
		t.Errorf("as a job: %.200q", answer)
	}
	w.nothingStored()
	if r := w.do("POST", "/up/", "hello").want(200); r.body != "hello" {
		t.Errorf("%q", r.body)
	}
}

// TestStallsOverHTTP2: a stream whose client takes nothing ends, though its connection lives.
func TestStallsOverHTTP2(t *testing.T) {
	gone := make(chan error, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w, _, done := peers.Guard(w, r, 300*time.Millisecond, io.ErrUnexpectedEOF)
		_, err := w.Write(make([]byte, 8<<20))
		if r.URL.Path == "/long" {
			gone <- err
		}
		done()
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	res, err := s.Client().Get(s.URL + "/long")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.ProtoMajor != 2 {
		t.Fatal("not HTTP/2")
	}
	if err := <-gone; err == nil {
		t.Error("it was taken")
	}
	other, err := s.Client().Get(s.URL + "/other")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Body.Close()
	if n, err := io.Copy(io.Discard, other.Body); n != 8<<20 || err != nil {
		t.Errorf("another stream: %d %v", n, err)
	}
}
