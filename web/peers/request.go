package peers

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// maxDrain is how many unread bytes of a body are read and dropped so that the connection can be
// reused.
const maxDrain = 256 << 10

// Guard makes reads of a request's body and writes of its answer fail if the client makes no
// progress for the stall time; late is then the error of reading the body. Call the function
// that it returns after the request was answered, but not after a panic.
//
// If the answer is an error (4xx or 5xx) and the body was not read to its end, the connection
// is closed after the answer.
func Guard(w http.ResponseWriter, r *http.Request, stall time.Duration, late error) (http.ResponseWriter, *http.Request, func()) {
	streams := r.ProtoMajor >= 2 // in HTTP/2 requests share a connection, whose progress says nothing about one of them
	if !streams && (r.Body == nil || r.Body == http.NoBody) {
		return w, r, func() {}
	}
	x := &exchange{ResponseWriter: w, control: http.NewResponseController(w), stall: stall, stallError: late, multiplexed: streams}
	if r.Body == nil || r.Body == http.NoBody {
		x.bodyRead.Store(true)
		return x, r, func() {}
	}
	if !streams {
		x.conn = requestConn(r)
	}
	x.body = r.Body
	guarded := *r // net/http looks at the Body of its own request
	guarded.Body = x
	return x, &guarded, x.done
}

// exchange is a request with a body, and its answer. It is also the reader of the body.
type exchange struct {
	http.ResponseWriter
	control     *http.ResponseController
	conn        *Conn // nil if it is not known, or shared with other requests
	body        io.ReadCloser
	stall       time.Duration
	stallError  error
	multiplexed bool

	bodyRead   atomic.Bool // the body was read to its end
	bodyFailed atomic.Bool // reading the body has failed
	duplex     bool        // the answer may begin before the body has ended
	answered   bool        // the answer has begun
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// Read implements io.Reader for the body.
func (x *exchange) Read(p []byte) (n int, err error) {
	switch {
	case x.bodyRead.Load(): // the connection may already read the next request
		return x.body.Read(p)
	case x.conn != nil:
		x.conn.Due(true)
		n, err = x.body.Read(p)
		x.conn.Due(false)
	default:
		x.control.SetReadDeadline(time.Now().Add(x.stall)) // an error only means that deadlines are not supported
		n, err = x.body.Read(p)
		x.control.SetReadDeadline(time.Time{})
	}
	switch {
	case err == nil:
	case err == io.EOF:
		x.bodyRead.Store(true)
	case errors.Is(err, http.ErrBodyReadAfterClose):
	default:
		x.bodyFailed.Store(true)
		if errors.Is(err, os.ErrDeadlineExceeded) || x.conn != nil && x.conn.stalledRead.Load() { // net/http sometimes hides the error
			err = x.stallError
		}
	}
	return n, err
}

// Close implements io.Closer for the body.
func (x *exchange) Close() error {
	if !x.bodyRead.Load() && !x.bodyFailed.Load() && !x.multiplexed {
		return nil // done handles the rest: net/http would wait for it
	}
	return x.body.Close()
}

// EnableFullDuplex implements what http.ResponseController asks for.
func (x *exchange) EnableFullDuplex() error {
	x.duplex = true
	return x.control.EnableFullDuplex()
}

// Hijack implements http.Hijacker.
func (x *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := x.control.Hijack()
	if err == nil {
		x.answered = true
		x.bodyRead.Store(true)
	}
	return conn, rw, err
}

// WriteHeader implements http.ResponseWriter.
func (x *exchange) WriteHeader(status int) {
	if status >= 200 && !x.answered {
		x.answered = true
		if !x.multiplexed && !x.duplex && !x.bodyRead.Load() {
			if status < http.StatusBadRequest && !x.bodyFailed.Load() {
				io.CopyN(io.Discard, x, maxDrain)
			}
			if !x.bodyRead.Load() {
				closeAfterAnswer(x.ResponseWriter)
			}
		}
	}
	x.ResponseWriter.WriteHeader(status)
}

// writeSize is how many bytes of an answer one write takes in HTTP/2, where the progress of a
// larger write would not be visible.
const writeSize = 4 << 10

// Write implements io.Writer for the answer.
func (x *exchange) Write(p []byte) (n int, err error) {
	if !x.answered {
		x.WriteHeader(http.StatusOK)
	}
	if !x.multiplexed {
		return x.ResponseWriter.Write(p)
	}
	for err == nil && n < len(p) {
		x.control.SetWriteDeadline(time.Now().Add(x.stall))
		var m int
		m, err = x.ResponseWriter.Write(p[n:min(len(p), n+writeSize)])
		n += m
	}
	return n, err
}

// done ends the exchange without reading the rest of the body.
func (x *exchange) done() {
	if x.multiplexed {
		return
	}
	if !x.answered && !x.bodyRead.Load() {
		x.WriteHeader(http.StatusOK)
	}
	if !x.bodyRead.Load() {
		closeAfterAnswer(x.ResponseWriter)
		x.control.SetReadDeadline(time.Unix(1, 0)) // otherwise net/http would read on
	}
}

// closeAfterAnswer makes net/http close the connection after the answer, without reading the rest
// of the request. net/http waits half a second first, so that the client can read the answer.
// Exceeding the limit of a MaxBytesReader is the way to request this.
func closeAfterAnswer(w http.ResponseWriter) {
	for {
		wrapped, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		w = wrapped.Unwrap()
	}
	http.MaxBytesReader(w, io.NopCloser(strings.NewReader("x")), 0).Read(make([]byte, 1))
}
