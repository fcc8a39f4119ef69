package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// audience is many WebSocket clients in this process, read by few goroutines over epoll with
// one buffer each, so that the clients cost little and the server is measured.
//
// Every client counts the events that it gets, and their bytes. Some clients read the
// contents of each event, with the time at which it was read from the socket.
type audience struct {
	members []*member
	got     []atomic.Uint64 // events of each member; in one slice, because all are read often
	polls   []int           // epoll descriptors
	readers sync.WaitGroup
	closing atomic.Bool

	mu  sync.Mutex // protects err
	err error      // why the first connection failed
}

// watcher reads an event, which is valid only during the call.
type watcher func(event []byte, at time.Time) error

// guests describes the members of an audience.
type guests struct {
	addr  string
	n     int
	path  func(i int) string  // of the request that opens connection i
	say   string              // a message of each client, of at most 125 bytes; none if empty
	begin string              // prefix of the objects that watchers read; eventPrefix if empty
	watch func(i int) watcher // nil: client i only counts
	stuck bool                // never read anything, and have a small receive buffer
}

const readers = 2 // goroutines that read for an audience

// gather connects an audience, which counts everything after the 101.
func gather(ctx context.Context, g guests) (_ *audience, err error) {
	a := &audience{members: make([]*member, g.n), got: make([]atomic.Uint64, g.n)}
	defer func() {
		if err != nil {
			a.leave()
		}
	}()
	for range readers {
		poll, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
		if err != nil {
			return nil, err
		}
		a.polls = append(a.polls, poll)
	}
	const dialers = 32
	failed := make([]error, dialers)
	var wg sync.WaitGroup
	for d := range dialers {
		wg.Go(func() {
			for i := d; i < g.n && failed[d] == nil && ctx.Err() == nil; i += dialers {
				failed[d] = a.admit(ctx, &g, i)
			}
		})
	}
	wg.Wait()
	if err := errors.Join(append(failed, ctx.Err())...); err != nil {
		return nil, err
	}
	if !g.stuck {
		for _, poll := range a.polls {
			a.readers.Go(func() { a.read(poll) })
		}
	}
	return a, nil
}

// member is one client. After admit only one reader uses it.
type member struct {
	fd int
	frames
	counter
	objects
	watch watcher
	begin []byte
	at    time.Time     // of the last read
	size  atomic.Uint64 // bytes of its events
}

// admit opens one connection and takes its descriptor away from the Go runtime.
func (a *audience) admit(ctx context.Context, g *guests, i int) error {
	d := net.Dialer{Timeout: 30 * time.Second}
	if g.stuck {
		d.Control = func(_, _ string, c syscall.RawConn) (err error) {
			c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
			return err
		}
	}
	conn, err := d.DialContext(ctx, "tcp", g.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	m := &member{begin: []byte(cmp.Or(g.begin, eventPrefix))}
	m.frames.sink = m
	if g.watch != nil {
		m.watch = g.watch(i)
	}
	early, err := upgrade(conn, g.addr, g.path(i))
	if err != nil {
		return err
	}
	m.at = time.Now()
	if err := m.feed(early); err != nil {
		return err
	}
	m.note(&a.got[i])
	if g.say != "" { // masked with zeros, as a client's frames must be
		if _, err := conn.Write(append([]byte{0x80 | opText, 0x80 | byte(len(g.say)), 0, 0, 0, 0}, g.say...)); err != nil {
			return err
		}
	}
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	dup := error(nil)
	if err := raw.Control(func(fd uintptr) { m.fd, dup = syscall.Dup(int(fd)) }); err != nil || dup != nil {
		return errors.Join(err, dup)
	}
	syscall.CloseOnExec(m.fd)
	a.members[i] = m
	if g.stuck {
		return nil
	}
	return syscall.EpollCtl(a.polls[i%len(a.polls)], syscall.EPOLL_CTL_ADD, m.fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(i)})
}

// upgrade sends the request and returns the bytes after the 101.
func upgrade(conn net.Conn, addr, path string) (early []byte, err error) {
	if err := conn.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", path, addr); err != nil {
		return nil, err
	}
	var answer []byte
	part := make([]byte, 1024)
	for {
		n, err := conn.Read(part)
		if answer = append(answer, part[:n]...); err != nil {
			return nil, fmt.Errorf("GET %s: %w: %s", path, err, answer)
		}
		head, rest, whole := bytes.Cut(answer, []byte("\r\n\r\n"))
		if !whole {
			continue
		}
		if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
			return nil, fmt.Errorf("GET %s: %s", path, answer)
		}
		return rest, nil
	}
}

// read reads from the members of one epoll descriptor until the audience leaves.
func (a *audience) read(poll int) {
	buffer := make([]byte, 256<<10)
	ready := make([]syscall.EpollEvent, 256)
	for !a.closing.Load() {
		n, err := syscall.EpollWait(poll, ready, 50)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			a.fail(err)
			return
		}
		for _, e := range ready[:max(n, 0)] {
			if err := a.serve(int(e.Fd), buffer); err != nil {
				a.fail(fmt.Errorf("connection %d: %w", e.Fd, err))
				syscall.EpollCtl(poll, syscall.EPOLL_CTL_DEL, a.members[e.Fd].fd, nil)
			}
		}
	}
}

func (a *audience) serve(i int, buffer []byte) error {
	m := a.members[i]
	n, err := syscall.Read(m.fd, buffer)
	switch {
	case errors.Is(err, syscall.EINTR) || errors.Is(err, syscall.EAGAIN):
		return nil
	case err != nil:
		return err
	case n == 0:
		return errors.New("the server ended it without a close frame")
	}
	m.at = time.Now()
	err = m.feed(buffer[:n])
	m.note(&a.got[i])
	return err
}

func (m *member) note(got *atomic.Uint64) {
	got.Store(m.counter.events)
	m.size.Store(m.counter.bytes)
}

// data and control implement sink.
func (m *member) data(part []byte, end bool) error {
	m.counter.data(part, end)
	if m.watch == nil {
		return nil
	}
	return m.objects.data(part, end, func(object []byte) error {
		if !bytes.HasPrefix(object, m.begin) {
			return nil
		}
		return m.watch(object, m.at)
	})
}

func (m *member) control(opcode byte, payload []byte) error {
	switch opcode {
	case opPing: // answered as RFC 6455 section 5.5.3 wants, masked with zeros
		pong := append([]byte{0x80 | opPong, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
		if n, err := syscall.Write(m.fd, pong); err != nil || n < len(pong) {
			return fmt.Errorf("answering a ping: %d bytes written: %w", n, err)
		}
	case opClose:
		if len(payload) < 2 {
			return errors.New("the server closed it without a code")
		}
		return fmt.Errorf("the server closed it: %d %s", binary.BigEndian.Uint16(payload), payload[2:])
	}
	return nil
}

func (a *audience) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.err == nil {
		a.err = err
	}
}

// failed returns why the first connection failed, if one did.
func (a *audience) failed() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

// heard returns how many events all members got, and the smallest and largest number of one.
func (a *audience) heard() (total, least, most uint64) {
	least = ^uint64(0)
	for i := range a.got {
		n := a.got[i].Load()
		total += n
		least, most = min(least, n), max(most, n)
	}
	return total, least, most
}

// await waits until every member got n events, and then a short time for duplicates.
func (a *audience) await(ctx context.Context, n uint64) error {
	moved := time.Now()
	for before := uint64(0); ; {
		total, least, most := a.heard()
		switch {
		case a.failed() != nil:
			return a.failed()
		case least == n && most == n:
			time.Sleep(100 * time.Millisecond) // events that come twice arrive now
			if _, least, most = a.heard(); least == n && most == n {
				return a.failed()
			}
			return fmt.Errorf("%d events were published, and a client got %d", n, most)
		case most > n:
			return fmt.Errorf("%d events were published, and a client got %d", n, most)
		case total > before:
			before, moved = total, time.Now()
		case time.Since(moved) > 20*time.Second:
			return fmt.Errorf("%d events were published; for 20 s nothing came, and the slowest client has %d, the fastest %d", n, least, most)
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return err
		}
	}
}

// frameCount returns how many data frames came. Call it when nothing is sent any more.
func (a *audience) frameCount() (n uint64) {
	for _, m := range a.members {
		n += m.frames.count
	}
	return n
}

// leave closes all connections at once.
func (a *audience) leave() {
	a.closing.Store(true)
	a.readers.Wait()
	for _, m := range a.members {
		if m != nil {
			syscall.Close(m.fd)
		}
	}
	for _, poll := range a.polls {
		syscall.Close(poll)
	}
	a.members, a.polls = nil, nil
}

// pause waits; it returns an error if ctx ends before.
func pause(ctx context.Context, t time.Duration) error {
	select {
	case <-time.After(t):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
