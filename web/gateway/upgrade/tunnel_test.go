package upgrade

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"jobhub/jobs/egress"
)

// drain drains the hub in the background; the returned function waits for it.
func drain(t *testing.T, p *Proxy) (wait func()) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	done := make(chan struct{})
	go func() { p.Drain(ctx); close(done) }()
	return func() {
		t.Helper()
		<-done
		if ctx.Err() != nil {
			t.Error("draining took too long")
		}
		cancel()
	}
}

// TestDrain: both sides get 1001 between two frames, wherever the connection stands, and the
// connection ends once both have answered.
func TestDrain(t *testing.T) {
	big := frame(0x82, strings.Repeat("b", 10000), false)
	bigMasked := frame(0x82, strings.Repeat("b", 10000), true)
	for name, c := range map[string]struct {
		down, up       string // what the sides have sent before
		downNow, upNow string // and after it began to drain
		lostDown       int    // bytes of these that come after the close frame, and are lost
	}{
		"between frames":      {down: frame(0x81, "a", false), up: frame(0x81, "b", true)},
		"nothing sent":        {},
		"inside frames":       {down: big[:6000], downNow: big[6000:], up: bigMasked[:9000], upNow: bigMasked[9000:]},
		"one byte is missing": {down: big[:len(big)-1], downNow: big[len(big)-1:] + big, lostDown: len(big)},
		"between fragments":   {down: frame(0x01, "first", false), downNow: frame(0x80, "second", false), lostDown: 8},
		"inside a header":     {down: frame(0x81, "x", false) + big[:2], downNow: big[2:], lostDown: len(big)},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, Options{Grace: 20 * time.Second}, "")
			io.WriteString(p.upstream, c.down)
			io.WriteString(p.client, c.up)
			whole := c.down
			if c.lostDown == len(big) && strings.HasPrefix(name, "inside a header") {
				whole = c.down[:len(c.down)-2]
			}
			expect(t, p.fromHub, whole)
			expect(t, p.upstream, c.up)
			p.tunnel().end(goingAway, goingAway, "the hub stops") // as Drain does, but known to have happened
			wait := drain(t, p.proxy)
			io.WriteString(p.upstream, c.downNow)
			io.WriteString(p.client, c.upNow)
			if c.lostDown == 0 {
				expect(t, p.fromHub, c.downNow)
			} else if strings.HasPrefix(name, "one byte") {
				expect(t, p.fromHub, c.downNow[:1])
			}
			expect(t, p.upstream, c.upNow)
			expectClose(t, p.fromHub, 1001, false)
			expectClose(t, p.upstream, 1001, true)
			io.WriteString(p.client, frame(0x88, "\x03\xe9", true))
			io.WriteString(p.upstream, frame(0x88, "\x03\xe9", false))
			expectEnd(t, p.fromHub)
			expectEnd(t, p.upstream)
			wait()
			if _, _, status := dial(t, p.hub, handshake("", "")); status != http.StatusServiceUnavailable {
				t.Errorf("a new connection got %d", status)
			}
		})
	}
}

// tunnel returns the only tunnel of a hub.
func (p *pipe) tunnel() *tunnel {
	p.proxy.mu.Lock()
	defer p.proxy.mu.Unlock()
	for t := range p.proxy.tunnels {
		return t
	}
	return nil
}

// TestDrainSilent: sides that do not answer are cut after the grace time, also inside a frame.
func TestDrainSilent(t *testing.T) {
	p := open(t, Options{Grace: 50 * time.Millisecond}, "")
	half := frame(0x82, "half of it", false)[:6]
	io.WriteString(p.upstream, half)
	expect(t, p.fromHub, half)
	wait := drain(t, p.proxy)
	expectEnd(t, p.fromHub)
	expectClose(t, p.upstream, 1001, true)
	expectEnd(t, p.upstream)
	wait()

	p = open(t, Options{Grace: time.Hour}, "")
	p.proxy.Drain(canceled(t)) // its time is over at once
	io.Copy(io.Discard, p.fromHub)
	io.Copy(io.Discard, p.upstream)
}

func TestIdle(t *testing.T) {
	p := open(t, Options{Idle: 50 * time.Millisecond, Grace: 50 * time.Millisecond}, "")
	expectClose(t, p.fromHub, 1001, false)
	expectClose(t, p.upstream, 1001, true)
	expectEnd(t, p.fromHub)
	<-p.done
}

// TestStall: a side that takes nothing ends the connection, although the other one goes on.
func TestStall(t *testing.T) {
	p := open(t, Options{Stall: 200 * time.Millisecond}, "")
	message := []byte(frame(0x82, strings.Repeat("m", 60000), false))
	for { // the client reads nothing
		if _, err := p.upstream.Write(message); err != nil {
			break
		}
	}
	<-p.done
}

// TestCredentialsEnd: when the request's context ends, the client gets 1008.
func TestCredentialsEnd(t *testing.T) {
	conns := make(chan net.Conn, 1)
	at, _ := url.Parse(listen(t, func(c net.Conn) {
		deadline(c)
		http.ReadRequest(bufio.NewReader(c))
		io.WriteString(c, switching(""))
		conns <- c
	}))
	revoked, revoke := context.WithCancel(context.Background())
	proxy, transport := New(Options{Grace: 50 * time.Millisecond}), egress.Unguarded(nil, egress.Outbound{})
	defer transport.CloseIdleConnections()
	done := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.WithContext(revoked)
		out := r.Clone(revoked)
		out.URL, out.RequestURI = at, ""
		done <- proxy.Serve(w, r, Call{Request: out, Transport: transport, Counters: new(Counters)})
	}))
	defer server.Close()
	_, fromHub, _ := dial(t, &hub{Server: server}, handshake("", ""))
	upstream := <-conns
	defer upstream.Close()
	revoke()
	expectClose(t, fromHub, 1008, false)
	expectClose(t, upstream, 1001, true)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestViolations: who breaks the protocol gets the reason, the other side 1001. What came before
// is passed on.
func TestViolations(t *testing.T) {
	good := frame(0x81, "good", true)
	goodDown := frame(0x81, "good", false)
	for name, c := range map[string]struct {
		client, upstream string
		code             uint16
	}{
		"client does not mask": {client: frame(0x81, "x", false), code: 1002},
		"long control frame":   {client: "\x89\xfe\x01\x00", code: 1002},
		"control in fragments": {client: frame(0x09, "x", true), code: 1002},
		"impossible length":    {client: "\x82\xff\xff\xff\xff\xff\xff\xff\xff\xff", code: 1002},
		"message too large":    {client: frame(0x82, strings.Repeat("x", 1001), true), code: 1009},
		"fragments too large":  {client: frame(0x02, strings.Repeat("x", 600), true) + frame(0x89, "ping", true) + frame(0x80, strings.Repeat("x", 600), true), code: 1009},
		"huge frames":          {client: "\x02\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00", code: 1009},
		"upstream masks":       {upstream: frame(0x81, "x", true), code: 1002},
		"upstream's too large": {upstream: frame(0x82, strings.Repeat("x", 1001), false), code: 1009},
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, Options{MaxMessage: 1000, Grace: 50 * time.Millisecond}, "")
			if c.client != "" {
				io.WriteString(p.upstream, goodDown)
				expect(t, p.fromHub, goodDown)
				io.WriteString(p.client, good+c.client)
				expect(t, p.upstream, good)
			} else {
				io.WriteString(p.client, good)
				expect(t, p.upstream, good)
				io.WriteString(p.upstream, goodDown+c.upstream)
				expect(t, p.fromHub, goodDown)
			}
			if name == "fragments too large" {
				expect(t, p.upstream, frame(0x02, strings.Repeat("x", 600), true)+frame(0x89, "ping", true))
			}
			if c.client != "" {
				expectClose(t, p.fromHub, c.code, false)
				expectClose(t, p.upstream, 1001, true)
			} else {
				expectClose(t, p.fromHub, 1001, false)
				expectClose(t, p.upstream, c.code, true)
			}
			expectEnd(t, p.fromHub)
			<-p.done
		})
	}
}

// TestMessages: the limit is that of a message, not of a connection.
func TestMessages(t *testing.T) {
	p := open(t, Options{MaxMessage: 1000}, "")
	half := strings.Repeat("x", 500)
	for range 3 {
		message := frame(0x01, half, true) + frame(0x80, half, true) + frame(0x81, half+half, true)
		io.WriteString(p.client, message)
		expect(t, p.upstream, message)
	}
}
