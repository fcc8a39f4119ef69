package upgrade

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

var errTimeout = os.ErrDeadlineExceeded

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// TestEcho: messages, compression, subprotocols and close codes pass between another's client
// and server.
func TestEcho(t *testing.T) {
	seen := make(chan http.Header, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen <- r.Header
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"chat"}, CompressionMode: websocket.CompressionContextTakeover})
		if err != nil {
			return
		}
		c.SetReadLimit(-1)
		for {
			kind, b, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if string(b) == "bye" {
				c.Close(4321, "so long")
				return
			}
			c.Write(r.Context(), kind, b)
		}
	}))
	defer server.Close()
	h := newHub(t, Options{Hidden: func(s string) bool { return strings.HasPrefix(s, "secret.") }}, server.URL)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	connect := func() *websocket.Conn {
		c, _, err := websocket.Dial(ctx, h.URL+"/x?y", &websocket.DialOptions{Subprotocols: []string{"secret.jh_1", "chat"}, CompressionMode: websocket.CompressionContextTakeover})
		if err != nil {
			t.Fatal(err)
		}
		c.SetReadLimit(-1)
		return c
	}
	c := connect()
	if got := (<-seen)["Sec-Websocket-Protocol"]; len(got) != 1 || got[0] != "chat" {
		t.Errorf("the upstream was offered %q", got)
	}
	if c.Subprotocol() != "chat" {
		t.Errorf("subprotocol %q", c.Subprotocol())
	}
	for _, n := range []int{0, 1, 125, 126, 127, 4095, 4096, 4097, 65535, 65536, 1 << 20} {
		want := strings.Repeat("ä", n/2) + strings.Repeat("x", n%2)
		if err := c.Write(ctx, websocket.MessageText, []byte(want)); err != nil {
			t.Fatal(err)
		}
		kind, got, err := c.Read(ctx)
		if err != nil || kind != websocket.MessageText || string(got) != want {
			t.Fatalf("%d bytes came back as %d, %v", n, len(got), err)
		}
	}
	if s := h.counters.Counts(); s.Current != 1 || s.Total != 1 || s.In == 0 || s.Out == 0 {
		t.Errorf("%+v", s)
	}
	c.Write(ctx, websocket.MessageText, []byte("bye"))
	if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != 4321 {
		t.Errorf("the upstream closed: %v", err)
	}
	if err := <-h.done; err != nil {
		t.Error(err)
	}
	c = connect()
	<-seen
	if err := c.Close(4000, "enough"); err != nil {
		t.Errorf("the client closed: %v", err)
	}
	<-h.done
	if s := h.counters.Counts(); s.Current != 0 || s.Total != 2 {
		t.Errorf("%+v", s)
	}
}

// TestRefusals: an upstream that does not upgrade, or wrongly.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		status int
	}{
		"refuses":          {"HTTP/1.1 401 x\r\nContent-Length: 2\r\n\r\nno", 401},
		"answers a page":   {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200},
		"wrong proof":      {strings.Replace(switching(""), accept(testKey), accept("x"), 1), 502},
		"no proof":         {strings.Replace(switching(""), "Sec-WebSocket-Accept", "X", 1), 502},
		"two proofs":       {switching("Sec-WebSocket-Accept: " + accept(testKey) + "\r\n"), 502},
		"another protocol": {strings.Replace(switching(""), "websocket", "h2c", 1), 502},
		"no connection":    {strings.Replace(switching(""), "Connection: upgrade", "X: y", 1), 502},
		"subprotocol":      {switching("Sec-WebSocket-Protocol: b\r\n"), 502},
		"extension":        {switching("Sec-WebSocket-Extensions: b; x=1\r\n"), 502},
		"closes":           {"", 502},
		"not HTTP":         {"hello\r\n\r\n", 502},
		"good":             {switching("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Extensions: e; y\r\n"), 101},
	} {
		t.Run(name, func(t *testing.T) {
			answer := c.answer
			url := listen(t, func(c net.Conn) {
				deadline(c)
				b := make([]byte, 4096)
				c.Read(b)
				io.WriteString(c, answer)
				c.Close()
			})
			h := newHub(t, Options{}, url)
			_, _, status := dial(t, h, handshake("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Extensions: e; x\r\n", ""))
			if status != c.status {
				t.Errorf("status %d, want %d", status, c.status)
			}
			<-h.done
			if s := h.counters.Counts(); (s.Total == 1) != (c.status == 101) {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestMalformedHandshake: what a client may not send.
func TestMalformedHandshake(t *testing.T) {
	good := func() *http.Request {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header = http.Header{"Connection": {"keep-alive, UPGRADE"}, "Upgrade": {"WebSocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {testKey}}
		return r
	}
	if err := CheckRequest(good()); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(r *http.Request){
		"method":         func(r *http.Request) { r.Method = "POST" },
		"HTTP/1.0":       func(r *http.Request) { r.ProtoMinor = 0 },
		"HTTP/2":         func(r *http.Request) { r.ProtoMajor = 2 },
		"connection":     func(r *http.Request) { r.Header.Set("Connection", "close") },
		"upgrade":        func(r *http.Request) { r.Header.Set("Upgrade", "h2c") },
		"two upgrades":   func(r *http.Request) { r.Header.Set("Upgrade", "websocket, h2c") },
		"version":        func(r *http.Request) { r.Header.Set("Sec-Websocket-Version", "8") },
		"no version":     func(r *http.Request) { r.Header.Del("Sec-Websocket-Version") },
		"no key":         func(r *http.Request) { r.Header.Del("Sec-Websocket-Key") },
		"short key":      func(r *http.Request) { r.Header.Set("Sec-Websocket-Key", "AAAA") },
		"not base64":     func(r *http.Request) { r.Header.Set("Sec-Websocket-Key", "dGhlIHNhbXBsZSBub25jZQ=") },
		"two keys":       func(r *http.Request) { r.Header.Add("Sec-Websocket-Key", testKey) },
		"body":           func(r *http.Request) { r.ContentLength = 5 },
		"body in chunks": func(r *http.Request) { r.ContentLength = -1 },
	} {
		r := good()
		change(r)
		if err := CheckRequest(r); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestEarlyFrames: frames that come with the handshake are not lost.
func TestEarlyFrames(t *testing.T) {
	early := frame(0x81, "early", true) + frame(0x81, "late", true)
	p := open(t, Options{}, early[:len(early)-2])
	io.WriteString(p.client, early[len(early)-2:])
	expect(t, p.upstream, early)
}

// TestBrokenConnection: when a side goes without a close frame, the other one sees the end.
func TestBrokenConnection(t *testing.T) {
	p := open(t, Options{}, "")
	p.client.Close()
	expectEnd(t, p.upstream)
	p = open(t, Options{}, "")
	io.WriteString(p.upstream, frame(0x81, "last", false))
	p.upstream.Close()
	expect(t, p.fromHub, frame(0x81, "last", false))
	expectEnd(t, p.fromHub)
	<-p.done
}

// TestManyAtOnce: messages in both directions at once, while others connect and leave.
func TestManyAtOnce(t *testing.T) {
	p := open(t, Options{}, "")
	var group sync.WaitGroup
	const n = 300
	copied := func(to io.Writer, read io.Reader, masked bool) {
		message := frame(0x82, strings.Repeat("m", 10000), masked)
		group.Go(func() {
			for range n {
				io.WriteString(to, message)
			}
		})
		group.Go(func() {
			for range n {
				expectQuietly(t, read, message)
			}
		})
	}
	copied(p.client, p.upstream, true)
	copied(p.upstream, p.fromHub, false)
	group.Wait()
	p.client.Close()
	<-p.done
	if s := p.counters.Counts(); s.In != n*(10000+8) || s.Out != n*(10000+4) {
		t.Errorf("%+v", s)
	}
}

func expectQuietly(t *testing.T, r io.Reader, want string) {
	got := make([]byte, len(want))
	if _, err := io.ReadFull(r, got); err != nil || string(got) != want {
		t.Error("a message came changed", err)
	}
}
