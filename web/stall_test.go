package web_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"jobhub/jobs/sqlite"
)

// narrow is a raw connection whose client takes no more than a few KB unread. It has
// read the block of its subscription.
func (w *world) narrow(query string) *rawConn {
	w.t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
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
	c := &rawConn{w.t, conn.(*net.TCPConn), bufio.NewReaderSize(conn, 1024)}
	if err := c.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		w.t.Fatal(err)
	}
	c.send(handshake(w.address(), query))
	c.upgraded()
	for {
		if _, text := c.frame(); strings.Contains(text, `"type":"live"`) {
			return c
		}
	}
}

// flood is a running job that prints.
type flood struct {
	script
	t    testing.TB
	id   string
	size int // bytes printed
}

func (w *world) flood() *flood {
	w.t.Helper()
	f := &flood{script: w.script("flood"), t: w.t, id: w.submit(`{"kind":"script","input":"flood"}`)}
	w.await(f.id, "running")
	return f
}

func (f *flood) print(pieces, size int) {
	for range pieces {
		f.output(strings.Repeat("x", size))
		f.size += size
	}
}

// heard is what a subscriber has got of a job's output. It fails if a byte is missing or
// comes twice.
type heard struct {
	size int
	last string // type of the event heard last
}

func (h *heard) frame(t testing.TB, frame string) {
	t.Helper()
	for line := range strings.SplitSeq(frame, "\n") {
		var m struct {
			Type string `json:"type"`
			Data struct {
				Off  int    `json:"off"`
				Text string `json:"text"`
			} `json:"data"`
		}
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%v in %.100s", err, line)
		}
		if m.Type == "job.output" {
			if m.Data.Off != h.size {
				t.Fatalf("output at %d came after %d bytes", m.Data.Off, h.size)
			}
			h.size += len(m.Data.Text)
		}
		if strings.HasPrefix(m.Type, "job.") {
			h.last = m.Type
		}
	}
}

// take reads until all that was printed was heard.
func (h *heard) take(t testing.TB, c *client, size int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for h.size < size {
		_, frame, err := c.conn.Read(ctx)
		if err != nil {
			t.Fatalf("%v, after %d of %d bytes", err, h.size, size)
		}
		h.frame(t, string(frame))
	}
}

// A client that takes no byte for the limit is cut off, not earlier.
func TestStalledReaderIsClosed(t *testing.T) {
	t.Parallel()
	const limit = time.Second
	w := startIn(t, t.TempDir(), func(p *parts) { p.web.StallLimit = limit })
	f := w.flood()
	stalled, canary := w.narrow("?all=1"), w.dial("?all=1")
	canary.until("live")
	from := time.Now()
	f.print(120, 60<<10)
	var h heard
	h.take(t, canary, f.size)

	// What is sent to a connection that the hub has closed fails, sooner or later.
	pace := time.NewTicker(5 * time.Millisecond)
	defer pace.Stop()
	for {
		if _, err := io.WriteString(stalled, frame(fin|opPong, "")); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("still open %s after it stopped to read", time.Since(from))
			}
			break
		}
		if time.Since(from) > limit+patience {
			t.Fatalf("still open %s after it stopped to read", time.Since(from))
		}
		<-pace.C
	}
	if after := time.Since(from); after < limit {
		t.Errorf("cut off after %s", after)
	}
	for { // what was on its way; the last frame may be torn
		op, payload, err := readFrame(stalled.r)
		if err != nil {
			break
		}
		if op == opClose && binary.BigEndian.Uint16([]byte(payload)) != 4001 {
			t.Errorf("closed with % x, want 4001", payload)
		}
	}
	f.print(1, 1)
	h.take(t, canary, f.size)
}

// A client that is slow but still reads is never disconnected and misses nothing, though
// what the hub could send fills all buffers for a multiple of the limit.
func TestSlowReaderIsNotClosed(t *testing.T) {
	t.Parallel()
	const limit = 2 * time.Second
	w := startIn(t, t.TempDir(), func(p *parts) { p.web.StallLimit = limit; p.hub.RingBytes = 1 << 20 })
	f := w.flood()
	slow := w.narrow("?job=" + f.id)
	f.print(160, 60<<10)
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	slow.r = bufio.NewReaderSize(&paced{slow.TCPConn, pace.C, time.Now().Add(3 * limit)}, 4096)
	f.succeed("1")
	var h heard
	for h.last != "job.succeeded" {
		op, payload, err := readFrame(slow.r)
		if err != nil || op == opClose {
			t.Fatalf("opcode %x %.50q %v, after %d of %d bytes", op, payload, err, h.size, f.size)
		}
		if op == opText {
			h.frame(t, payload)
		}
	}
	if h.size != f.size {
		t.Errorf("heard %d of %d bytes", h.size, f.size)
	}
}

// paced reads at the pace of a ticker until a time, and then freely.
type paced struct {
	io.Reader
	pace  <-chan time.Time
	until time.Time
}

func (p *paced) Read(b []byte) (int, error) {
	if time.Now().Before(p.until) {
		<-p.pace
	}
	return p.Reader.Read(b)
}

// Clients that do not read at all cost a bounded amount of memory each, however much
// they miss, and nobody else waits for them. When they are gone, it is free again.
func TestStalledReadersCostLittle(t *testing.T) {
	const many, each = 50, 100 << 10
	w := startOn(t, t.TempDir(), sqlite.Options{TailBytes: 1 << 20}, func(p *parts) {
		p.hub.RingBytes = 1 << 20
		p.web.StallLimit = time.Hour // who waits for the stalled clients waits too long
	})
	f := w.flood()
	canary := w.dial("?all=1")
	canary.until("live")
	var h heard
	round := func() {
		for range 20 {
			f.print(50, 8<<10)
			h.take(t, canary, f.size)
		}
	}
	round()
	before := heap()
	stalled := make([]*rawConn, many)
	for i := range stalled {
		stalled[i] = w.narrow([]string{"?all=1", "?queue=default", "?kind=script", "?job=" + f.id}[i%4])
	}
	round()
	during := heap()
	if grown := during - before; grown > many*each {
		t.Errorf("%d stalled clients cost %d KB each", many, grown/many>>10)
	}
	for _, c := range stalled {
		c.Close()
	}
	for end := time.Now().Add(patience); ; {
		left := heap() - before
		if left < 1<<20 {
			break
		}
		if time.Now().After(end) {
			t.Errorf("%d KB stay after the clients went", left>>10)
			break
		}
	}
	t.Logf("%d stalled clients take %d KB each", many, (during-before)/many>>10)
}

// heap is the memory in use, in bytes.
func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
