package peers

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Options of a Listener.
type Options struct {
	Stall      time.Duration         // see Conn
	Total      int                   // connections at the same time
	Reserve    int                   // of these, only for this machine
	PerAddress func() int            // returns how many connections one address may have at the same time
	Trusted    func(netip.Addr) bool // reports addresses without a limit, like that of a proxy; may be nil
}

// Listener limits the number of connections. A connection over the limit of its address gets
// an answer with 503 and is closed. At the total limit, the connection that has been silent
// longest is closed in favour of the new one, so that silent connections don't block others.
//
// Connections from this machine have no limit for their address, as a proxy may run here, and
// some are reserved for them, so that an operator can always connect.
type Listener struct {
	net.Listener
	options Options

	RefusedAddress, RefusedTotal, Evicted, Stalled atomic.Int64 // connections, since the start

	refusing sync.WaitGroup
	slots    chan struct{} // one for each refusal in progress

	mu        sync.Mutex // protects the fields below
	closed    bool
	conns     map[*Conn]netip.Addr
	byAddress map[netip.Addr]int
	refused   map[net.Conn]struct{}
}

// silenceGrace is how long a connection may be silent before it can be evicted, and how long a
// refusal may take.
const silenceGrace = time.Second

// maxRefusals is how many refused connections get an answer at the same time; others are closed
// without one.
const maxRefusals = 64

// Listen returns a Listener that accepts the connections of another one.
func Listen(below net.Listener, o Options) *Listener {
	return &Listener{Listener: below, options: o, slots: make(chan struct{}, maxRefusals),
		conns: map[*Conn]netip.Addr{}, byAddress: map[netip.Addr]int{}, refused: map[net.Conn]struct{}{}}
}

// Configure sets the hooks of a server that tell the Listener about the state of connections.
// Call it before the server is started.
func (l *Listener) Configure(s *http.Server) {
	s.ConnContext = withConn
	s.ConnState = func(c net.Conn, state http.ConnState) {
		if on := ConnOf(c); on != nil {
			on.Due(false)
			on.silent.Store(state == http.StateNew || state == http.StateIdle)
		}
	}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		below, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c, why := l.admit(below)
		if c != nil {
			return c, nil
		}
		l.refuse(below, why)
	}
}

// Count returns how many connections there are.
func (l *Listener) Count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

// admit returns the accepted connection, or why it is refused.
func (l *Listener) admit(below net.Conn) (c *Conn, why string) {
	address, bounded := AddressOf(below.RemoteAddr().String())
	local := !bounded || address.IsLoopback()
	if bounded = !local && (l.options.Trusted == nil || !l.options.Trusted(address)); bounded {
		address = addressBlock(address)
	}
	l.mu.Lock()
	if most := l.options.PerAddress(); bounded && l.byAddress[address] >= most {
		l.mu.Unlock()
		l.RefusedAddress.Add(1)
		return nil, fmt.Sprintf("This address has %d connections to the hub, which is the limit. Close some, or raise limits.connections_per_address in the configuration.", most)
	}
	most := l.options.Total
	if !local {
		most -= l.options.Reserve
	}
	var silent *Conn
	if len(l.conns) >= most {
		if silent = l.mostSilentLocked(); silent == nil {
			l.mu.Unlock()
			l.RefusedTotal.Add(1)
			return nil, "The hub has reached its limit of connections. Try again later, or raise its limit of open files."
		}
		l.leaveLocked(silent)
	}
	setUserTimeout(below, 2*l.options.Stall) // so that the hub is the first to notice
	c = NewConn(below, l.options.Stall)
	c.stalled, c.onClose = &l.Stalled, func() { l.leave(c) }
	c.silent.Store(true)
	if !bounded {
		address = netip.Addr{}
	}
	l.conns[c] = address
	if bounded {
		l.byAddress[address]++
	}
	l.mu.Unlock()
	if silent != nil {
		l.Evicted.Add(1)
		silent.Close()
	}
	return c, ""
}

// mostSilentLocked returns the connection that has been silent longest, if longer than
// silenceGrace; else nil.
func (l *Listener) mostSilentLocked() (most *Conn) {
	since := time.Now().Add(-silenceGrace).UnixNano()
	for c := range l.conns {
		if at := c.active.Load(); c.silent.Load() && at < since {
			most, since = c, at
		}
	}
	return most
}

func (l *Listener) leave(c *Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaveLocked(c)
}

func (l *Listener) leaveLocked(c *Conn) {
	address, in := l.conns[c]
	delete(l.conns, c)
	if !in || !address.IsValid() {
		return
	}
	if l.byAddress[address]--; l.byAddress[address] == 0 {
		delete(l.byAddress, address)
	}
}

// refuse answers a connection with the reason and closes it. It does not block.
func (l *Listener) refuse(c net.Conn, why string) {
	select {
	case l.slots <- struct{}{}:
	default:
		c.Close()
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		<-l.slots
		c.Close()
		return
	}
	l.refused[c] = struct{}{}
	l.refusing.Go(func() {
		defer func() {
			l.mu.Lock()
			delete(l.refused, c)
			l.mu.Unlock()
			c.Close()
			<-l.slots
		}()
		c.SetDeadline(time.Now().Add(silenceGrace))
		io.WriteString(c, refusal(why))
		if half, ok := c.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
			io.CopyN(io.Discard, c, maxDrain) // a connection that is closed with unread bytes is reset, and the answer lost
		}
	})
}

func refusal(why string) string {
	body := `{"type":"urn:jobhub:problem:limit_exceeded","title":"Too many connections","status":503,"detail":"` + why + `","code":"limit_exceeded"}` + "\n"
	return fmt.Sprintf("HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nCache-Control: no-store\r\nRetry-After: 5\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// Close implements io.Closer.
func (l *Listener) Close() error {
	err := l.Listener.Close()
	l.mu.Lock()
	l.closed = true
	for c := range l.refused {
		c.Close()
	}
	l.mu.Unlock()
	l.refusing.Wait()
	return err
}

// AddressOf returns the IP address in an address with a port; false if there is none.
func AddressOf(remote string) (netip.Addr, bool) {
	at, err := netip.ParseAddrPort(remote)
	return at.Addr().Unmap().WithZone(""), err == nil
}

// addressBlock returns what counts as one address: for IPv6 the /64 network, as a subscriber has
// at least that.
func addressBlock(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	prefix, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return prefix.Addr()
}
