package web

import (
	"bufio"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// wire is the connection under a WebSocket. The library reads from it and writes its
// control frames to it; our data goes past the library, as frames that many
// connections share.
type wire struct {
	net.Conn
	raw       syscall.RawConn // for writing without waiting; nil if that can't be done
	rest      []byte          // read by net/http already
	inspector inspector
	verdict   websocket.StatusCode // what the inspector found
	stall     time.Duration
	control   func(frame []byte) // sends a control frame of the library's; nil if it may do so itself
	slow      func()             // called when the client takes nothing for a while
	data      atomic.Bool        // the library writes data: slow may be called

	// One write without waiting. They are here so that it allocates nothing.
	chunk []byte
	n     int
	err   error
	once  func(fd uintptr) bool
}

var (
	errVerdict = errors.New("the client broke the protocol")
	errStalled = errors.New("the client takes nothing")
)

// upgrade is a ResponseWriter that hands out a wire with small buffers. With net/http's
// own, each connection would hold 8 KiB for good.
type upgrade struct {
	http.ResponseWriter
	wire    *wire
	status  int    // with which the library refuses the handshake
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
	u.wire.Conn = conn
	return u.wire, bufio.NewReadWriter(bufio.NewReaderSize(u.wire, 1<<10), bufio.NewWriterSize(u.wire, 256)), nil
}

// open prepares writing without waiting, where the connection allows it.
func (w *wire) open() {
	tcp, ok := w.Conn.(*net.TCPConn)
	if !ok {
		return
	}
	tcp.SetWriteBuffer(64 << 10) // what the kernel holds for a client that reads nothing
	if w.raw, _ = tcp.SyscallConn(); w.raw != nil {
		w.once = w.attempt
	}
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

// Write implements io.Writer for the library.
func (w *wire) Write(b []byte) (int, error) {
	if w.control != nil {
		w.control(b)
		return len(b), nil
	}
	if !w.data.Load() && len(b) > 4 && b[0] == opClose && !utf8.Valid(b[4:]) { // its answer to a close frame
		return len(b), w.send(closeFrame(websocket.StatusInvalidFramePayloadData, ""))
	}
	return len(b), w.send(b)
}

// send writes all of b, as long as the other side takes some of it now and then. When
// it does not, it is told so behind b, in case that it still wakes up.
func (w *wire) send(b []byte) error {
	defer w.SetWriteDeadline(time.Time{})
	// The first look is early, so that nothing is kept for the client any more. Those of
	// many clients are spread, as they all may have stopped at the same moment.
	for took, look := time.Now(), min(time.Second, w.stall/6); ; look = w.stall / 2 {
		look += rand.N(look / 4)
		w.SetWriteDeadline(time.Now().Add(look))
		n, err := w.Conn.Write(b)
		if b = b[n:]; err == nil {
			return nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if w.control != nil || w.data.Load() {
			w.slow()
		}
		if n > 0 {
			took = time.Now()
		} else if time.Since(took) >= w.stall {
			if w.control != nil { // then b ends with a frame
				w.SetWriteDeadline(time.Now().Add(w.stall / 6))
				w.Conn.Write(append(b[:len(b):len(b)], closeFrame(statusStalled, "nothing was read for too long")...))
			}
			return errStalled
		}
	}
}

// try writes what can be written without waiting.
func (w *wire) try(b []byte) (n int, err error) {
	w.chunk, w.n, w.err = b, 0, nil
	err = w.raw.Write(w.once)
	w.chunk = nil
	if err == nil {
		err = w.err
	}
	return w.n, err
}

// endWrites says that no more is to come, and reads on until the other side has said so
// too or the time is over: closed with bytes unread, the connection would be reset and
// the close frame lost.
func (w *wire) endWrites(patience time.Duration) {
	if half, ok := w.Conn.(interface{ CloseWrite() error }); ok {
		half.CloseWrite()
	}
	w.SetReadDeadline(time.Now().Add(patience))
}

func (w *wire) drain() { io.Copy(io.Discard, io.LimitReader(w.Conn, 64<<20)) }
