package upstream

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// failingConn fails all writes after some bytes.
type failingConn struct {
	net.Conn
	left int
}

func (c *failingConn) Write(p []byte) (int, error) {
	n, _ := c.Conn.Write(p[:min(len(p), c.left)])
	if c.left -= n; n < len(p) {
		return n, errors.New("broken")
	}
	return n, nil
}

// TestNothingSent: a POST is sent again exactly if no byte of it was written, however the
// connection fails, on new and on kept connections.
func TestNothingSent(t *testing.T) {
	big := strings.Repeat("x", 5000) // more than net/http gathers for a write
	for _, kept := range []bool{false, true} {
		for _, left := range []int{0, 1, 20, 4096, 1 << 20} {
			var heads bytes.Buffer
			bad := raw(t, func(c net.Conn) {
				for first := kept; ; first = false {
					c.SetReadDeadline(time.Now().Add(10 * time.Second))
					if first {
						readRequest(c)
						io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
						continue
					}
					io.Copy(&heads, c)
					return
				}
			})
			var conns []*failingConn
			transport := newTransport(t)
			dial := transport.DialContext
			below := (&net.Dialer{}).DialContext
			transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
				if "http://"+address != bad.url {
					return dial(ctx, network, address)
				}
				return Track(func(ctx context.Context, network, address string) (net.Conn, error) {
					if len(conns) > 0 { // the transport itself tries a kept connection again
						return nil, errors.New("refused")
					}
					c, err := below(ctx, network, address)
					if err != nil {
						return nil, err
					}
					f := &failingConn{c, left}
					if kept {
						f.left = 1 << 20
					}
					conns = append(conns, f)
					return f, nil
				})(ctx, network, address)
			}
			var served int
			good := serve(t, func(http.ResponseWriter, *http.Request) { served++ })
			p := newPool(t, Options{Members: members(t, bad.url, good), Transport: transport, Tries: 2, Timeout: time.Second})
			key := keyFor(t, p, bad.url)
			send := func(r *http.Request) error {
				_, _, err := do(t, p, r.WithContext(WithCall(r.Context(), &Call{Key: key})))
				return err
			}
			if kept {
				if err := send(request(t, "GET", "/", "")); err != nil {
					t.Fatal(err)
				}
				conns[0].left = left
			}
			r := request(t, "POST", "/", "body")
			r.Header.Set("Big", big)
			err := send(r)
			transport.CloseIdleConnections()
			if again := served > 0; again != (left == 0) || again != (err == nil) {
				t.Errorf("kept %v, %d bytes can be written: sent again %v, error %v", kept, left, again, err)
			}
		}
	}
}

// TestEndedConnection: a connection that was judged to have sent nothing sends nothing later.
func TestEndedConnection(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	c := &conn{Conn: a}
	s := &sent{on: c}
	if nothing, _, _ := s.end(); !nothing {
		t.Fatal("something was sent")
	}
	if n, err := c.Write([]byte("x")); n != 0 || err == nil {
		t.Errorf("%d bytes were written later", n)
	}

	busy := &conn{Conn: a}
	done := make(chan struct{})
	go func() { busy.Write([]byte("x")); close(done) }()
	for { // until the write is under way
		busy.mu.Lock()
		writing := busy.writing > 0
		busy.mu.Unlock()
		if writing {
			break
		}
	}
	if nothing, _, _ := (&sent{on: busy}).end(); nothing {
		t.Error("a write was under way")
	}
	b.Read(make([]byte, 1))
	<-done
}
