package upgrade

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"jobhub/jobs"
	"jobhub/jobs/egress"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hub is a server that passes everything through to one upstream.
type hub struct {
	*httptest.Server
	proxy    *Proxy
	counters Counters
	done     chan error // of each Serve
}

func newHub(t *testing.T, o Options, upstream string) *hub {
	at, err := url.Parse(upstream)
	if err != nil {
		t.Fatal(err)
	}
	transport := egress.Unguarded(nil, egress.Outbound{})
	h := &hub{proxy: New(o), done: make(chan error, 100)}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := r.Clone(r.Context())
		out.URL.Scheme, out.URL.Host, out.Host, out.RequestURI = at.Scheme, at.Host, "", ""
		err := h.proxy.Serve(w, r, Call{Request: out, Transport: transport, Counters: &h.counters})
		if p, ok := errors.AsType[*jobs.Problem](err); ok {
			http.Error(w, p.Detail, max(p.Status, 400))
		} else if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
		h.done <- err
	}))
	t.Cleanup(func() {
		h.Close()
		transport.CloseIdleConnections()
		h.proxy.Drain(canceled(t))
	})
	return h
}

// pipe is both ends of a connection through a hub, after the handshake.
type pipe struct {
	*hub
	client, upstream net.Conn
	fromHub          *bufio.Reader // at the client
}

const testKey = "dGhlIHNhbXBsZSBub25jZQ=="

// handshake is a client's request, with more headers and bytes after it.
func handshake(more, after string) string {
	return "GET /chat HTTP/1.1\r\nHost: hub\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + testKey + "\r\n" + more + "\r\n" + after
}

// switching is an upstream's answer.
func switching(more string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + accept(testKey) + "\r\n" + more + "\r\n"
}

// open connects a raw client and a raw upstream; after is what the client sends with its
// handshake.
func open(t *testing.T, o Options, after string) *pipe {
	conns := make(chan net.Conn, 1)
	url := listen(t, func(c net.Conn) {
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, switching(""))
		conns <- c
	})
	p := &pipe{hub: newHub(t, o, url)}
	var status int
	p.client, p.fromHub, status = dial(t, p.hub, handshake("", after))
	if status != 101 {
		t.Fatal("status", status)
	}
	p.upstream = <-conns
	deadline(p.upstream)
	t.Cleanup(func() { p.upstream.Close() })
	return p
}

func deadline(c net.Conn) { c.SetDeadline(time.Now().Add(20 * time.Second)) }

// listen starts a server of raw connections, which handle has to close.
func listen(t *testing.T, handle func(net.Conn)) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			handle(c)
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "http://" + l.Addr().String()
}

// dial sends a request to a hub and reads the head of the answer.
func dial(t *testing.T, h *hub, request string) (net.Conn, *bufio.Reader, int) {
	c, err := net.Dial("tcp", strings.TrimPrefix(h.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	deadline(c)
	io.WriteString(c, request)
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c, r, res.StatusCode
}

// frame makes a frame, masked with a key of zeros.
func frame(first byte, payload string, masked bool) string {
	b := []byte{first}
	mask := byte(0)
	if masked {
		mask = 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b = append(b, mask|byte(n))
	case n < 1<<16:
		b = append(b, mask|126, byte(n>>8), byte(n))
	default:
		b = append(b, mask|127, 0, 0, 0, 0, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	if masked {
		b = append(b, 0, 0, 0, 0)
	}
	return string(b) + payload
}

// expect reads exactly that.
func expect(t *testing.T, r io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(r, got)
	if err != nil || string(got) != want {
		t.Fatalf("read %.60q (%d bytes, %v), want %.60q", got[:n], n, err, want)
	}
}

// expectClose reads a close frame with that code.
func expectClose(t *testing.T, r io.Reader, code uint16, masked bool) {
	t.Helper()
	b := make([]byte, 2)
	if _, err := io.ReadFull(r, b); err != nil || b[0] != 0x88 || b[1]&0x80 != 0 != masked {
		t.Fatalf("read %x, %v, want a close frame", b, err)
	}
	n := int(b[1] & 0x7f)
	var key [4]byte
	if masked {
		io.ReadFull(r, key[:])
	}
	payload := make([]byte, n)
	io.ReadFull(r, payload)
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	if n < 2 || uint16(payload[0])<<8|uint16(payload[1]) != code {
		t.Fatalf("close frame with %q, want %d", payload, code)
	}
}

// expectEnd reads the end of a connection.
func expectEnd(t *testing.T, r io.Reader) {
	t.Helper()
	if b, err := io.ReadAll(r); len(b) > 0 || errors.Is(err, errTimeout) {
		t.Fatalf("read %q, %v, want the end", b, err)
	}
}
