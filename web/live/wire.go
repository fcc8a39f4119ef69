package live

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"jobhub/web/peers"
	"jobhub/web/rest"
)

// wire is the connection under a WebSocket: the library reads and writes through it. Each
// frame is sent in one write.
type wire struct {
	net.Conn
	out       net.Conn // where it writes: below the connection of package peers, since send watches the progress itself
	rest      []byte   // read by net/http already
	inspector inspector
	verdict   websocket.StatusCode // what the inspector found
	stall     time.Duration
	slow      func()                     // called when the client takes no data for a while
	closed    func(websocket.StatusCode) // called when a close frame goes out
	begun     []byte                     // the first part of a frame that the library writes in two parts
}

var (
	errVerdict = errors.New("the client broke the protocol")
	errStalled = errors.New("the client reads nothing")
)

// upgrade is a ResponseWriter whose Hijack returns a wire with small buffers. With the
// buffers of net/http, each connection would use 8 KiB for its whole life.
type upgrade struct {
	http.ResponseWriter
	wire    *wire
	status  int    // with which the library refused the handshake
	refusal []byte // why
}

// WriteHeader implements http.ResponseWriter.
func (u *upgrade) WriteHeader(status int) {
	if status == http.StatusSwitchingProtocols {
		u.ResponseWriter.WriteHeader(status)
		return
	}
	u.status = status
}

func (u *upgrade) Write(b []byte) (int, error) {
	u.refusal = append(u.refusal, b...)
	return len(b), nil
}

// Hijack implements http.Hijacker.
func (u *upgrade) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(u.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	if n := rw.Reader.Buffered(); n > 0 {
		some, _ := rw.Reader.Peek(n) // can't fail: they are there
		u.wire.rest = append([]byte(nil), some...)
	}
	u.wire.Conn, u.wire.out = conn, conn
	below := conn
	if c := peers.ConnOf(conn); c != nil {
		below = c.NetConn()
		if c == conn {
			u.wire.out = below
		}
	}
	if tcp, ok := below.(*net.TCPConn); ok {
		tcp.SetWriteBuffer(rest.KernelBuffer)
	}
	return u.wire, bufio.NewReadWriter(bufio.NewReaderSize(u.wire, 1<<10), bufio.NewWriterSize(u.wire, 256)), nil
}

// Read implements io.Reader for the library.
func (w *wire) Read(b []byte) (n int, err error) {
	if w.verdict != 0 {
		return 0, errVerdict
	}
	if len(w.rest) > 0 {
		n = copy(b, w.rest)
		if w.rest = w.rest[n:]; len(w.rest) == 0 {
			w.rest = nil
		}
	} else {
		n, err = w.Conn.Read(b)
	}
	if w.verdict = w.inspector.inspect(b[:n]); w.verdict != 0 {
		return 0, errVerdict
	}
	return n, err
}

// Write implements io.Writer for the library. A frame that is larger than the library's
// buffer comes in two parts.
func (w *wire) Write(b []byte) (int, error) {
	switch {
	case len(w.begun) > 0:
		err := w.send(net.Buffers{w.begun, b}, w.slow)
		w.begun = w.begun[:0]
		return len(b), err
	case b[0] == opClose: // its answer to a close frame
		code := websocket.StatusNoStatusRcvd
		if len(b) >= 4 {
			code = websocket.StatusCode(binary.BigEndian.Uint16(b[2:]))
		}
		if len(b) > 4 && !utf8.Valid(b[4:]) { // RFC 6455 section 5.5.1
			code = websocket.StatusInvalidFramePayloadData
			w.closed(code)
			return len(b), w.send(net.Buffers{closeFrame(code, "")}, nil)
		}
		w.closed(code)
		return len(b), w.send(net.Buffers{b}, nil)
	case len(b) < frameSize(b):
		w.begun = append(w.begun, b...)
		return len(b), nil
	}
	return len(b), w.send(net.Buffers{b}, w.slow)
}

// send writes whole frames, as long as the client reads some of it now and then. If it does
// not, a close frame is queued behind them, in case that it reads again. slow, if not nil,
// is called when the write takes long.
func (w *wire) send(frames net.Buffers, slow func()) error {
	defer w.SetWriteDeadline(time.Time{})
	// The first check is early, so that the memory kept for a slow client is freed soon. The
	// checks of many clients are spread, as all may have stopped at the same moment.
	for took, look := time.Now(), min(time.Second, w.stall/6); ; look = w.stall {
		look += rand.N(look / 8)
		w.SetWriteDeadline(time.Now().Add(look))
		n, err := frames.WriteTo(w.out)
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if slow != nil {
			slow()
		}
		if n > 0 {
			took = time.Now()
		} else if time.Since(took) >= w.stall {
			w.SetWriteDeadline(time.Now().Add(w.stall / 6))
			frames = append(frames, closeFrame(statusStalled, "nothing was read for too long"))
			frames.WriteTo(w.out)
			return errStalled
		}
	}
}

// endWrites closes the sending side, and lets drain read until the client has closed its side
// or the time is over: closing with unread bytes would reset the connection and lose the
// close frame.
func (w *wire) endWrites(patience time.Duration) {
	if half, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	w.SetReadDeadline(time.Now().Add(patience))
}

func (w *wire) drain() { io.Copy(io.Discard, io.LimitReader(w.Conn, 64<<20)) }
