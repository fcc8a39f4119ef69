package web_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestCloseCodes(t *testing.T) {
	w := start(t)
	for _, test := range []struct {
		name  string
		kind  websocket.MessageType
		frame string
		want  websocket.StatusCode
	}{
		{"binary", websocket.MessageBinary, `{"type":"ping"}`, websocket.StatusUnsupportedData},
		{"not UTF-8", websocket.MessageText, "{\"type\":\"ping\",\"t\":\"\xff\"}", websocket.StatusInvalidFramePayloadData},
		{"half a character", websocket.MessageText, "\xe2\x82", websocket.StatusInvalidFramePayloadData},
		{"a surrogate", websocket.MessageText, "\xed\xa0\x80", websocket.StatusInvalidFramePayloadData},
		{"too large", websocket.MessageText, `{"type":"ping","t":"` + strings.Repeat("x", 256<<10) + `"}`, websocket.StatusMessageTooBig},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := w.dial("")
			if err := c.conn.Write(t.Context(), test.kind, []byte(test.frame)); err != nil {
				t.Fatal(err)
			}
			if got := c.closed(); got != test.want {
				t.Errorf("closed with %d, want %d", got, test.want)
			}
		})
	}
}

func TestLargestMessage(t *testing.T) {
	c := start(t).dial("")
	const most = 256 << 10
	frame := `{"type":"ping","t":"` + strings.Repeat("x", most-len(`{"type":"ping","t":""}`)) + `"}`
	c.send("%s", frame)
	if pong := c.next(); pong["type"] != "pong" || len(frame) != most {
		t.Errorf("a message of %d bytes got no pong", len(frame))
	}
}

func TestDrainTellsConnectionsToComeBack(t *testing.T) {
	w := start(t)
	idle, busy := w.dial(""), w.dial("?all=1")
	busy.until("live")
	w.Drain()
	for _, c := range []*client{idle, busy} {
		m := c.next()
		if after := number(t, m, "after_ms"); m["type"] != "reconnect" || after > 2000 {
			t.Errorf("got %v, want reconnect within 2 s", m)
		}
		if code := c.closed(); code != websocket.StatusServiceRestart {
			t.Errorf("closed with %d, want 1012", code)
		}
	}
	w.do("GET", "/readyz", "").problem(http.StatusServiceUnavailable, "internal")
	w.do("GET", "/healthz", "").want(http.StatusOK)
	w.do("GET", "/v1/ws", "", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==").
		has("Retry-After", "1").problem(http.StatusServiceUnavailable, "internal")
	w.Drain() // again does no harm
}

func TestSubprotocols(t *testing.T) {
	w := start(t)
	for _, test := range []struct {
		offered []string
		want    string
	}{
		{nil, ""},
		{[]string{"jobhub.v1"}, "jobhub.v1"},
		{[]string{"jobhub.token.c2VjcmV0", "jobhub.v1"}, "jobhub.v1"},
		{[]string{"jobhub.v9"}, ""},
	} {
		conn, _, err := websocket.Dial(t.Context(), w.url+"/v1/ws", &websocket.DialOptions{Subprotocols: test.offered})
		if err != nil {
			t.Fatal(err)
		}
		if conn.Subprotocol() != test.want {
			t.Errorf("offered %q, agreed on %q", test.offered, conn.Subprotocol())
		}
		conn.CloseNow()
	}
}

// rawConn is a WebSocket connection without a library, for frames that none would send.
type rawConn struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func (w *world) raw() *rawConn {
	w.t.Helper()
	address := strings.TrimPrefix(w.url, "http://")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		w.t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET /v1/ws HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", address)
	c := &rawConn{w.t, conn, bufio.NewReader(conn)}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		w.t.Fatal(res, err)
	}
	if op, _ := c.frame(); op != 1 {
		w.t.Fatalf("opcode %d came first, want the welcome", op)
	}
	return c
}

// frame reads one frame of the server.
func (c *rawConn) frame() (opcode byte, payload []byte) {
	c.t.Helper()
	head := make([]byte, 2)
	if _, err := io.ReadFull(c.r, head); err != nil {
		c.t.Fatal(err)
	}
	size := uint64(head[1] & 0x7f)
	if extended := map[uint64]int{126: 2, 127: 8}[size]; extended > 0 {
		b := make([]byte, 8)
		if _, err := io.ReadFull(c.r, b[8-extended:]); err != nil {
			c.t.Fatal(err)
		}
		size = binary.BigEndian.Uint64(b)
	}
	payload = make([]byte, size)
	if _, err := io.ReadFull(c.r, payload); err != nil {
		c.t.Fatal(err)
	}
	return head[0] & 0xf, payload
}

// masked is a frame with a mask of zeros, which leaves the payload as it is.
func masked(first byte, payload string) string {
	return string([]byte{first, 0x80 | byte(len(payload))}) + "\x00\x00\x00\x00" + payload
}

func TestMalformedFrames(t *testing.T) {
	w := start(t)
	for _, test := range []struct {
		name, bytes string
		want        int
	}{
		{"reserved bit 1", masked(0xc1, "{}"), 1002},
		{"reserved bit 2", masked(0xa1, "{}"), 1002},
		{"reserved bit 3", masked(0x91, "{}"), 1002},
		{"unknown data opcode", masked(0x83, "{}"), 1002},
		{"unknown control opcode", masked(0x8b, ""), 1002},
		{"fragmented ping", masked(0x09, ""), 1002},
		{"ping over 125 bytes", "\x89\xfe\x00\x7e\x00\x00\x00\x00" + strings.Repeat("x", 126), 1002},
		{"continuation of nothing", masked(0x80, "{}"), 1002},
		{"text inside text", masked(0x01, "{") + masked(0x81, "}"), 1002},
		{"close with half a code", masked(0x88, "\x03"), 1002},
		{"close with a forbidden code", masked(0x88, "\x03\xed"), 1002},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := w.raw()
			if _, err := io.WriteString(c, test.bytes); err != nil {
				t.Fatal(err)
			}
			op, payload := c.frame()
			if op != 8 || len(payload) < 2 {
				t.Fatalf("opcode %d with %q came, want a close", op, payload)
			}
			if got := int(binary.BigEndian.Uint16(payload)); got != test.want {
				t.Errorf("closed with %d (%s), want %d", got, payload[2:], test.want)
			}
		})
	}
}

// The library ends these without a close frame.
func TestFramesThatEndTheConnection(t *testing.T) {
	w := start(t)
	for name, frame := range map[string]string{
		"unmasked":        "\x81\x02{}",
		"negative length": "\x81\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			c := w.raw()
			if _, err := io.WriteString(c, frame); err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(c.r); err != nil || len(b) > 0 && b[0] != 0x88 {
				t.Errorf("got %q and %v, want the end", b, err)
			}
		})
	}
}

func TestFragmentsAndControlFrames(t *testing.T) {
	c := start(t).raw()
	// A message in three parts with a ping in between, cut inside a character.
	text := `{"type":"ping","t":"€"}`
	cut := strings.Index(text, "€") + 1
	frames := masked(0x01, text[:cut]) + masked(0x89, "beat") + masked(0x00, text[cut:cut+1]) + masked(0x80, text[cut+1:])
	for i := range len(frames) { // byte by byte
		if _, err := io.WriteString(c, frames[i:i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if op, payload := c.frame(); op != 10 || string(payload) != "beat" {
		t.Errorf("opcode %d with %q, want the pong", op, payload)
	}
	if op, payload := c.frame(); op != 1 || string(payload) != `{"type":"pong","t":"€"}` {
		t.Errorf("opcode %d with %q", op, payload)
	}
	if _, err := io.WriteString(c, masked(0x88, "\x03\xe8bye")); err != nil {
		t.Fatal(err)
	}
	if op, payload := c.frame(); op != 8 || binary.BigEndian.Uint16(payload) != 1000 {
		t.Errorf("opcode %d with %q, want the close back", op, payload)
	}
}

// A connection that is cut anywhere inside a frame ends, and takes its goroutines
// and its place in the hub with it (TestMain looks).
func TestCutConnections(t *testing.T) {
	w := start(t)
	frame := masked(0x81, `{"type":"subscribe","id":"s","all":true}`)
	for n := range len(frame) {
		c := w.raw()
		if _, err := io.WriteString(c, frame[:n]); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	w.submit(`{"kind":"echo"}`)
}
