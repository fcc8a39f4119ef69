package web_test

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// rawConn is a WebSocket connection without a library, for frames that none would send.
type rawConn struct {
	t testing.TB
	*net.TCPConn
	r *bufio.Reader
}

const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xa
	fin            = 0x80
)

// handshake is a request that a hub at this address accepts, but for changes: pairs of
// an old and a new text.
func handshake(address, query string, changes ...string) string {
	request := "GET /v1/ws" + query + " HTTP/1.1\r\nHost: " + address + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	return strings.NewReplacer(changes...).Replace(request)
}

func (w *world) address() string { return strings.TrimPrefix(w.url, "http://") }

// rawDial opens a TCP connection to the hub and sends these bytes.
func (w *world) rawDial(first string) *rawConn {
	w.t.Helper()
	conn, err := net.Dial("tcp", w.address())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		w.t.Fatal(err)
	}
	c := &rawConn{w.t, conn.(*net.TCPConn), bufio.NewReader(conn)}
	c.send(first)
	return c
}

// raw connects and takes the welcome.
func (w *world) raw(query string) *rawConn {
	w.t.Helper()
	c := w.rawDial(handshake(w.address(), query))
	c.upgraded()
	if op, text := c.frame(); op != opText || !strings.Contains(text, `"welcome"`) {
		w.t.Fatalf("opcode %d with %q came first, want the welcome", op, text)
	}
	return c
}

func (c *rawConn) upgraded() {
	c.t.Helper()
	res, err := http.ReadResponse(c.r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		c.t.Fatal(res, err)
	}
}

func (c *rawConn) send(bytes string) {
	c.t.Helper()
	if _, err := io.WriteString(c, bytes); err != nil {
		c.t.Fatal(err)
	}
}

// frame reads one frame of the server, which has to be whole, unmasked and without
// reserved bits.
func (c *rawConn) frame() (opcode byte, payload string) {
	c.t.Helper()
	opcode, payload, err := readFrame(c.r)
	if err != nil {
		c.t.Fatal(err)
	}
	return opcode, payload
}

func readFrame(r io.Reader) (opcode byte, payload string, err error) {
	head := make([]byte, 8)
	if _, err := io.ReadFull(r, head[:2]); err != nil {
		return 0, "", err
	}
	first, size := head[0], uint64(head[1])
	if first&0x70 != 0 || first&fin == 0 || size > 127 {
		return 0, "", fmt.Errorf("the server sent a frame with the header % x", head[:2])
	}
	if extended := map[uint64]int{126: 2, 127: 8}[size]; extended > 0 {
		clear(head)
		if _, err := io.ReadFull(r, head[8-extended:]); err != nil {
			return 0, "", fmt.Errorf("within a header: %w", err)
		}
		least := map[int]uint64{2: 126, 8: 1 << 16}[extended]
		if size = binary.BigEndian.Uint64(head); size < least || size > 64<<20 {
			return 0, "", fmt.Errorf("a frame of %d bytes says so in %d bytes", size, extended)
		}
	}
	text := make([]byte, size)
	if n, err := io.ReadFull(r, text); err != nil {
		return 0, "", fmt.Errorf("after %d of %d bytes of a payload: %w", n, size, err)
	}
	return first & 0xf, string(text), nil
}

// closed reads up to the server's close, answers it, and checks that the connection
// ends with it. It returns the code, 0 if there is none.
func (c *rawConn) closed() (code int, reason string) {
	c.t.Helper()
	for {
		op, payload, err := readFrame(c.r)
		if err != nil {
			c.t.Fatalf("%v instead of a close", err)
		}
		if op != opClose {
			continue
		}
		if len(payload) >= 2 {
			code, reason = int(binary.BigEndian.Uint16([]byte(payload))), payload[2:]
		}
		io.WriteString(c, frame(fin|opClose, payload)) // the server may have gone already
		rest, err := io.ReadAll(c.r)
		if len(rest) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			c.t.Errorf("after the close came %q and %v", rest, err)
		}
		return code, reason
	}
}

// frame is a masked frame as clients send them.
func frame(first byte, payload string) string {
	b := []byte(announced(first, uint64(len(payload))))
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i%4])
	}
	return string(b)
}

const mask = "\x37\xfa\x21\x3d"

// announced is the header of a frame of that size.
func announced(first byte, size uint64) string {
	var b []byte
	switch {
	case size < 126:
		b = []byte{first, 0x80 | byte(size)}
	case size < 1<<16:
		b = binary.BigEndian.AppendUint16([]byte{first, 0x80 | 126}, uint16(size))
	default:
		b = binary.BigEndian.AppendUint64([]byte{first, 0x80 | 127}, size)
	}
	return string(append(b, mask...))
}

// whole is a message in one frame.
func whole(payload string) string { return frame(fin|opText, payload) }

// closing is a close frame.
func closing(code uint16, reason string) string {
	return frame(fin|opClose, string(binary.BigEndian.AppendUint16(nil, code))+reason)
}
