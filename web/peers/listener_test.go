package peers

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// far is a connection that seems to come from an address.
type far struct {
	net.Conn
	address string
}

func (f far) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.ParseIP(f.address), Port: 4711} }

// dials is a listener whose connections a test makes.
type dials struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (d *dials) Accept() (net.Conn, error) {
	select {
	case c := <-d.conns:
		return c, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}
func (d *dials) Close() error   { close(d.closed); return nil }
func (d *dials) Addr() net.Addr { return &net.TCPAddr{} }

// door is a server that uses a Listener.
type door struct {
	*Listener
	t     *testing.T
	dials *dials
}

func open(t *testing.T, o Options, h http.HandlerFunc) *door {
	d := &dials{make(chan net.Conn), make(chan struct{})}
	if o.PerAddress == nil {
		o.PerAddress = func() int { return 256 }
	}
	if o.Total == 0 {
		o.Total = 1000
	}
	o.Stall = stall
	l := Listen(d, o)
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	l.Configure(s)
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() { s.Close(); <-served })
	return &door{l, t, d}
}

// dial connects from an address.
func (d *door) dial(address string) net.Conn {
	here, there := net.Pipe()
	d.dials.conns <- far{there, address}
	d.t.Cleanup(func() { here.Close() })
	return here
}

// ask sends bytes and returns what comes until the end.
func (d *door) ask(c net.Conn, bytes string) string {
	d.t.Helper()
	go io.WriteString(c, bytes)
	c.SetReadDeadline(time.Now().Add(3 * time.Hour))
	text, err := io.ReadAll(c)
	if err != nil {
		d.t.Errorf("%v after %q", err, text)
	}
	return string(text)
}

const get = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

func ok(w http.ResponseWriter, r *http.Request) { w.Write([]byte("good")) }

func TestConnectionsOfAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trusted := netip.MustParseAddr("198.51.100.7")
		d := open(t, Options{PerAddress: func() int { return 3 }, Trusted: func(a netip.Addr) bool { return a == trusted }}, ok)
		var held []net.Conn
		for range 3 {
			held = append(held, d.dial("203.0.113.1"), d.dial("2001:db8::1"))
		}
		for _, address := range []string{"203.0.113.1", "2001:db8::2", "::ffff:203.0.113.1"} { // of IPv6 a network is one
			answer := d.ask(d.dial(address), get)
			if !strings.HasPrefix(answer, "HTTP/1.1 503 ") || !strings.Contains(answer, "limits.connections_per_address") || !strings.Contains(answer, `"limit_exceeded"`) {
				t.Errorf("%s: %q", address, answer)
			}
		}
		if n := d.RefusedAddress.Load(); n != 3 {
			t.Errorf("%d are counted", n)
		}
		for _, address := range []string{"203.0.113.2", "2001:db8:0:1::1"} {
			if answer := d.ask(d.dial(address), get); !strings.HasSuffix(answer, "good") {
				t.Errorf("%s is not served: %q", address, answer)
			}
		}
		for range 10 {
			d.dial("127.0.0.1")
			d.dial(trusted.String())
		}
		for _, address := range []string{"127.0.0.1", "::1", trusted.String()} {
			if answer := d.ask(d.dial(address), get); !strings.HasSuffix(answer, "good") {
				t.Errorf("%s is not served: %q", address, answer)
			}
		}
		held[0].Close()
		synctest.Wait()
		if answer := d.ask(d.dial("203.0.113.1"), get); !strings.HasSuffix(answer, "good") {
			t.Errorf("its place stays taken: %q", answer)
		}
	})
}

// Connections that say nothing make room for those that do; connections at work stay.
func TestSilentConnectionsMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		d := open(t, Options{Total: 20, Reserve: 4}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/long" {
				<-release
			}
			ok(w, r)
		})
		long := d.dial("203.0.113.9")
		go io.WriteString(long, strings.Replace(get, "/", "/long", 1))
		synctest.Wait()
		for i := range 15 {
			c := d.dial("203.0.113.1")
			if i%2 == 0 {
				io.WriteString(c, "POST / HTTP/1.1\r\nHo") // nor those that stop within a request
			}
		}
		if answer := d.ask(d.dial("203.0.113.1"), get); !strings.HasPrefix(answer, "HTTP/1.1 503 ") || d.RefusedTotal.Load() != 1 {
			t.Errorf("within a second: %q", answer)
		}
		if answer := d.ask(d.dial("127.0.0.1"), get); !strings.HasSuffix(answer, "good") {
			t.Errorf("the operator is not let in: %q", answer)
		}
		time.Sleep(2 * time.Second)
		for range 5 {
			if answer := d.ask(d.dial("203.0.113.2"), get); !strings.HasSuffix(answer, "good") {
				t.Errorf("not served: %q", answer)
			}
		}
		if d.Evicted.Load() == 0 || d.Count() > 16 {
			t.Errorf("%d made room, %d are open", d.Evicted.Load(), d.Count())
		}
		close(release)
		if answer, err := io.ReadAll(long); !strings.HasSuffix(string(answer), "good") {
			t.Errorf("what was at work was cut: %q %v", answer, err)
		}
	})
}

// Where all connections are at work, some are left for this machine.
func TestRoomForTheOperator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		d := open(t, Options{Total: 20, Reserve: 4}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/long" {
				<-release
			}
			ok(w, r)
		})
		for range 16 {
			go io.WriteString(d.dial("203.0.113.1"), strings.Replace(get, "/", "/long", 1))
		}
		synctest.Wait()
		time.Sleep(time.Hour)
		if answer := d.ask(d.dial("203.0.113.2"), get); !strings.HasPrefix(answer, "HTTP/1.1 503 ") {
			t.Errorf("a stranger: %q", answer)
		}
		if answer := d.ask(d.dial("::1"), get); !strings.HasSuffix(answer, "good") {
			t.Errorf("the operator: %q", answer)
		}
		close(release)
	})
}

func TestRoom(t *testing.T) {
	for files, want := range map[uint64][2]int{64: {16, 4}, 200: {136, 8}, 1024: {768, 48}, 1 << 20: {786432, 64}, 1 << 63: {786432, 64}} {
		if total, reserve := ConnectionLimits(files); total != want[0] || reserve != want[1] {
			t.Errorf("of %d files: %d connections, %d of them reserved, want %v", files, total, reserve, want)
		}
	}
	if MaxOpenFiles() < 16 {
		t.Error("this process could open no file")
	}
}

func TestFailures(t *testing.T) {
	f := NewFailures(10, time.Second)
	a, b, now := netip.MustParseAddr("203.0.113.1"), netip.MustParseAddr("203.0.113.2"), time.Now()
	for i := range 10 {
		if wait := f.Fail(a, now); wait != 0 {
			t.Errorf("the failure %d has to wait %s", i, wait)
		}
	}
	for range 3000 {
		if wait := f.Fail(a, now); wait <= 0 || wait > time.Second {
			t.Fatalf("one too many has to wait %s", wait)
		}
	}
	if f.Fail(b, now) != 0 {
		t.Error("another address has to wait")
	}
	if f.Fail(a, now.Add(1500*time.Millisecond)) != 0 || f.Fail(a, now.Add(1500*time.Millisecond)) == 0 {
		t.Error("one more a second")
	}
	if f.Fail(netip.Addr{}, now) != 0 {
		t.Error("no address")
	}
}
