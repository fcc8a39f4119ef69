package gateway

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// maxReplay is how much of a body is kept for sending it again: more than net/http reads
// before it writes anything to a connection.
const maxReplay = 64 << 10

// body is the body of a request on its way through. It remembers that the client did not
// send it as it should have, and its beginning for a second try.
type body struct {
	from io.ReadCloser

	mu      sync.Mutex // protects the fields below
	failure error
	start   []byte // all that was read, unless long
	tooLong bool
	closed  bool // nobody may read any more
}

// reader reads a body from its beginning. One goroutine uses it.
type reader struct {
	*body
	done int // bytes of begun that were read
}

// fromStart is the body from its beginning, if all of what was read is still known.
func (b *body) fromStart() (io.ReadCloser, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.tooLong || b.closed {
		return nil, errors.New("the beginning of the body is gone")
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

// clientError is how the client broke it; nil if it did not. A nil body is whole.
func (b *body) clientError() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failure
}
