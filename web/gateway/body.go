package gateway

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// maxReplay is how many bytes of a body are kept for a retry: more than net/http reads before
// it writes anything to a connection.
const maxReplay = 64 << 10

// body is the body of a proxied request. It keeps the error of reading it from the client, and
// its start for a retry on another connection.
type body struct {
	from io.ReadCloser

	mu      sync.Mutex // protects the fields below
	failure error
	start   []byte // all that was read, unless tooLong
	tooLong bool
	closed  bool // reads fail from now on
}

// reader reads a body from its start. One goroutine uses it.
type reader struct {
	*body
	done int // bytes of start that were read
}

// fromStart returns a reader of the body from its start, if all that was read is still there.
func (b *body) fromStart() (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tooLong || b.closed {
		return nil, errors.New("the start of the body is no longer kept")
	}
	return &reader{b, 0}, nil
}

func (r *reader) Close() error { return nil } // the server closes the body

func (r *reader) Read(p []byte) (int, error) {
	b := r.body
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return 0, http.ErrBodyReadAfterClose
	}
	if r.done < len(b.start) {
		n := copy(p, b.start[r.done:])
		r.done += n
		b.mu.Unlock()
		return n, nil
	}
	b.mu.Unlock()
	n, err := b.from.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil && err != io.EOF && !errors.Is(err, http.ErrBodyReadAfterClose) {
		b.failure = err
	}
	if b.tooLong = b.tooLong || len(b.start)+n > maxReplay; b.tooLong {
		b.start = nil
	} else {
		b.start = append(b.start, p[:n]...)
	}
	r.done = len(b.start)
	return n, err
}

// close lets nobody read any more.
func (b *body) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}

// clientError returns the error of reading the body from the client; nil if there was none, and
// for a nil body.
func (b *body) clientError() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failure
}
