package upstream

import (
	"context"
	"io"
	"sync"
	"time"
)

// bodyOnce is the body of a request in one try. After the try nothing more is read, so that the
// next try gets all of the rest.
type bodyOnce struct {
	from io.ReadCloser

	mu      sync.Mutex // protects the fields below
	reading bool
	ended   bool
	failure error // of reading it from the client
}

// Read implements io.Reader.
func (b *bodyOnce) Read(p []byte) (int, error) {
	b.mu.Lock()
	if b.ended {
		b.mu.Unlock()
		return 0, errEnded
	}
	b.reading = true
	b.mu.Unlock()
	n, err := b.from.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	if err != nil && err != io.EOF && !b.ended {
		b.failure = err
	}
	return n, err
}

// Close implements io.Closer.
func (b *bodyOnce) Close() error {
	b.mu.Lock()
	b.ended = true // what a read reports from now on is because of this
	b.mu.Unlock()
	return b.from.Close()
}

// end ends reading. It returns false if a read is under way, whose bytes would be lost.
func (b *bodyOnce) end() bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	return !b.reading
}

// clientError returns why the body could not be read from the client; nil if it could.
func (b *bodyOnce) clientError() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failure
}

// answer is the body of a member's answer.
type answer struct {
	io.ReadCloser
	ctx    context.Context         // of the request as it came
	cancel context.CancelCauseFunc // called with the end; nil if the answer is not used
	member *member
	pass   pass
	closed sync.Once
	failed sync.Once
}

// Read implements io.Reader.
func (a *answer) Read(p []byte) (int, error) {
	n, err := a.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		a.failed.Do(func() {
			if a.ctx.Err() == nil {
				a.member.report(a.pass, Failure, a.member.reason(err), time.Now())
			}
		})
	}
	return n, err
}

// Close implements io.Closer.
func (a *answer) Close() error {
	a.failed.Do(func() {}) // what a read reports from now on is because of this
	err := a.ReadCloser.Close()
	a.closed.Do(func() {
		a.member.state.inFlight.Add(-1)
		if a.cancel != nil {
			a.cancel(nil)
		}
	})
	return err
}

// upgraded is the connection after an answer 101.
type upgraded struct {
	*answer
	io.Writer
}
