package cache

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"
)

// arrival is the body of an answer on its way to the store. One goroutine reads it from the
// upstream, and any number of readers from here.
type arrival struct {
	mu      sync.Mutex // protects the fields below
	data    []byte     // bytes that are there do not change
	err     error      // io.EOF at the end; errTooLarge if the rest is for the leader
	gone    bool       // there is no leader any more
	changed chan struct{}
}

var errTooLarge = errors.New("the answer is too large to be stored")

func (a *arrival) set(data []byte, err error) (gone bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.data, a.err = data, err
	close(a.changed)
	a.changed = make(chan struct{})
	return a.gone
}

// arrives starts to read the body of an answer that may be stored. It returns false if there is no
// memory for it now.
func (f *flight) arrives(e *entry, res *http.Response, leader bool) bool {
	c := f.t.cache
	size := int64(8 << 10)
	if res.ContentLength >= 0 {
		size = res.ContentLength + 1 // one more, so that the end is read without growing
	}
	if !c.reserve(size) {
		return false
	}
	f.begun, f.length = e, res.ContentLength
	f.arrive = &arrival{changed: make(chan struct{}), gone: !leader}
	close(f.head)
	go f.pump(res, make([]byte, 0, size)) // it ends with the body, or when all members have left
	return true
}

// pump reads the body into the arrival and stores the answer.
func (f *flight) pump(res *http.Response, data []byte) {
	c := f.t.cache
	reserved := int64(cap(data))
	defer func() {
		f.unlist()
		close(f.body)
		c.arriving.Add(-reserved)
		c.fetched(f.resource)
	}()
	for {
		n, err := res.Body.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err != nil {
			if err == io.EOF && f.length >= 0 && f.length != int64(len(data)) {
				err = io.ErrUnexpectedEOF
			}
			if err == io.EOF {
				f.begun.complete(data, f.length < 0)
				c.store(f, f.begun)
			}
			f.unlist()
			res.Body.Close()
			f.cancel()
			f.arrive.set(data, err)
			return
		}
		if len(data) == cap(data) {
			more := min(int64(cap(data)), c.options.EntryBytes+1-int64(cap(data)))
			if more <= 0 || !c.reserve(more) {
				f.unlist()
				c.drop(f)
				c.pass(f)
				if f.arrive.set(data, errTooLarge) {
					res.Body.Close()
					f.cancel()
				}
				return
			}
			reserved += more
			data = append(make([]byte, 0, int64(cap(data))+more), data...)
		}
		if n > 0 {
			f.arrive.set(data, nil)
		}
	}
}

// streamed gives the leader an answer whose body is arriving.
func (f *flight) streamed(r *trip, res *http.Response) *http.Response {
	if r == nil {
		return nil
	}
	answer := *res
	answer.Header = res.Header.Clone()
	answer.Request = r.req
	answer.Body = &part{f: f, ctx: r.req.Context(), rest: res.Body}
	r.x.done(&answer, fwdText(f.fwd, 0, true, false))
	return &answer
}

// part gives another member an answer whose body is arriving.
func (f *flight) part(r *trip, status string) *http.Response {
	now := time.Now()
	r.x.Status = status
	res := f.begun.headed(r.req, now, status)
	res.ContentLength = f.length
	res.Body = &part{f: f, ctx: r.req.Context()}
	return res
}

// part is an arriving body for one member.
type part struct {
	f    *flight
	ctx  context.Context
	done int           // bytes that were read
	rest io.ReadCloser // of the leader: the body itself, for what is too large to be stored
	own  io.ReadCloser // rest, after it was taken over
	once sync.Once
}

func (p *part) Read(b []byte) (int, error) {
	if p.own != nil {
		return p.own.Read(b)
	}
	if len(b) == 0 {
		return 0, nil
	}
	a := p.f.arrive
	for {
		a.mu.Lock()
		data, err, changed := a.data, a.err, a.changed
		a.mu.Unlock()
		switch {
		case p.done < len(data):
			n := copy(b, data[p.done:])
			p.done += n
			return n, nil
		case err == errTooLarge && p.rest != nil:
			p.own = p.f.direct(p.ctx, p.rest)
			return p.own.Read(b)
		case err != nil:
			return 0, err
		}
		select {
		case <-changed:
		case <-p.ctx.Done():
			return 0, p.ctx.Err()
		}
	}
}

// Close ends the member's part in the flight.
func (p *part) Close() error {
	p.once.Do(func() {
		if p.own != nil {
			p.own.Close()
			return
		}
		if a := p.f.arrive; p.rest != nil {
			a.mu.Lock()
			a.gone = true
			over := a.err == errTooLarge
			a.mu.Unlock()
			if over {
				p.rest.Close()
			}
		}
		p.f.leave()
	})
	return nil
}

// direct is the body of an answer for the leader alone. It ends with the leader's context.
func (f *flight) direct(ctx context.Context, body io.ReadCloser) io.ReadCloser {
	return &direct{ReadCloser: body, f: f, stop: context.AfterFunc(ctx, f.cancel)}
}

type direct struct {
	io.ReadCloser
	f    *flight
	stop func() bool
	once sync.Once
}

func (d *direct) Close() error {
	err := d.ReadCloser.Close()
	d.once.Do(func() {
		d.stop()
		d.f.leave()
	})
	return err
}

// drain reads what is left of a small body, so that the connection can be used again.
func drain(res *http.Response) {
	io.CopyN(io.Discard, res.Body, 4<<10)
	res.Body.Close()
}
