package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"time"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"
)

// peers are the servers that jobhub is compared with. They send the same messages to all their
// connections, as fast as a library can. They have no log, no filters and no resumption.
//
//   - coder: coder/websocket, one Write for each message and connection
//   - gorilla: one prepared message for all connections
//   - gws: its broadcaster
//   - bare: no library; all due messages in one frame, which is written to each socket. It is
//     the upper bound of this machine with this client.
var peers = []struct {
	name string
	open func(size int) http.Handler
}{
	{"coder", func(size int) http.Handler { return newPeer(size, acceptCoder, sendCoder) }},
	{"gorilla", func(size int) http.Handler { return newPeer(size, acceptGorilla, sendGorilla) }},
	{"gws", func(size int) http.Handler { return newPeer(size, acceptGws, sendGws) }},
	{"bare", func(size int) http.Handler { return newPeer(size, acceptBare, sendBare) }},
}

// startPeer runs a peer in a process of its own.
func startPeer(ctx context.Context, name string, size int) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return start(exec.CommandContext(ctx, self, "peer", "--name", name, "--size", strconv.Itoa(size)))
}

// runPeer serves until it is told to stop.
func runPeer(ctx context.Context, args []string, o *output) ([]figure, error) {
	fs := flag.NewFlagSet("jobhub-bench peer", flag.ContinueOnError)
	name := fs.String("name", "", "one of the peers")
	size := fs.Int("size", 200, "`bytes` of a message")
	if err := fs.Parse(args); err != nil {
		return nil, errFlags
	}
	for _, p := range peers {
		if p.name != *name {
			continue
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		server := &http.Server{Handler: p.open(*size)}
		go server.Serve(listener)
		defer server.Close()
		fmt.Fprintf(o.stdout, "the peer is ready at http://%s\n", listener.Addr())
		<-ctx.Done()
		return nil, nil
	}
	return nil, fmt.Errorf("there is no peer %q", *name)
}

// peer is a server whose connections are of type C.
type peer[C any] struct {
	size int
	send func(texts [][]byte, to []C) error

	mu    sync.Mutex // protects the fields below
	more  *sync.Cond // upto has grown
	conns []C
	upto  uint64 // messages that may be sent
	begun bool
}

// newPeer serves three paths: /ws to connect, /publish?upto=N to send the messages up to N that
// were not sent yet, and /metrics.
func newPeer[C any](size int, accept func(http.ResponseWriter, *http.Request) (C, error), send func([][]byte, []C) error) http.Handler {
	p := &peer[C]{size: size, send: send}
	p.more = sync.NewCond(&p.mu)
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", func(w http.ResponseWriter, r *http.Request) {
		conn, err := accept(w, r)
		if err != nil {
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.conns = append(p.conns, conn)
	})
	mux.HandleFunc("/publish", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.ParseUint(r.FormValue("upto"), 10, 64)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		p.publish(n)
	})
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		fmt.Fprintf(w, "go_goroutines %d\npeer_connections %d\n", runtime.NumGoroutine(), len(p.conns))
	})
	return mux
}

// seated waits until a peer has registered all n connections. A client gets its 101 before
// that, and messages go only to connections registered before the first message.
func seated(ctx context.Context, addr string, n int) error {
	for {
		noted, _, err := metric(addr, "peer_connections")
		if err != nil || int(noted) == n {
			return err
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

func (p *peer[C]) publish(upto uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.upto = max(p.upto, upto)
	p.more.Broadcast()
	if p.begun {
		return
	}
	p.begun = true // to those who are there now
	shards := runtime.GOMAXPROCS(0)
	for i := range shards {
		n := len(p.conns)
		go p.spread(p.conns[i*n/shards : (i+1)*n/shards])
	}
}

// spread sends all messages to some of the connections.
func (p *peer[C]) spread(to []C) {
	for done := uint64(0); ; {
		p.mu.Lock()
		for p.upto == done {
			p.more.Wait()
		}
		upto := min(p.upto, done+uint64(60_000/(p.size+1))) // into a frame with a length of two bytes
		p.mu.Unlock()
		var texts [][]byte
		for ; done < upto; done++ {
			texts = append(texts, message(done+1, p.size))
		}
		if err := p.send(texts, to); err != nil {
			fmt.Fprintln(os.Stderr, "sending:", err)
			return
		}
	}
}

// message looks like an event and has the size of one.
func message(seq uint64, size int) []byte {
	b := fmt.Appendf(nil, `{"type":"job.output","epoch":"bench","seq":%d,"data":"`, seq)
	for len(b) < size-2 {
		b = append(b, 'x')
	}
	return append(b, `"}`...)
}

func acceptCoder(w http.ResponseWriter, r *http.Request) (*coder.Conn, error) {
	c, err := coder.Accept(w, r, nil)
	if err == nil {
		c.CloseRead(context.Background())
	}
	return c, err
}

func sendCoder(texts [][]byte, to []*coder.Conn) error {
	for _, text := range texts {
		for _, c := range to {
			if err := c.Write(context.Background(), coder.MessageText, text); err != nil {
				return err
			}
		}
	}
	return nil
}

func acceptGorilla(w http.ResponseWriter, r *http.Request) (*gorilla.Conn, error) {
	var u gorilla.Upgrader
	c, err := u.Upgrade(w, r, nil)
	if err == nil {
		go func() {
			for {
				if _, _, err := c.NextReader(); err != nil {
					return
				}
			}
		}()
	}
	return c, err
}

func sendGorilla(texts [][]byte, to []*gorilla.Conn) error {
	for _, text := range texts {
		prepared, err := gorilla.NewPreparedMessage(gorilla.TextMessage, text)
		if err != nil {
			return err
		}
		for _, c := range to {
			if err := c.WritePreparedMessage(prepared); err != nil {
				return err
			}
		}
	}
	return nil
}

func acceptGws(w http.ResponseWriter, r *http.Request) (*gws.Conn, error) {
	c, err := gws.NewUpgrader(&gws.BuiltinEventHandler{}, nil).Upgrade(w, r)
	if err == nil {
		go c.ReadLoop()
	}
	return c, err
}

func sendGws(texts [][]byte, to []*gws.Conn) error {
	for _, text := range texts {
		b := gws.NewBroadcaster(gws.OpcodeText, text)
		for _, c := range to {
			if err := b.Broadcast(c); err != nil {
				return err
			}
		}
		if err := b.Close(); err != nil {
			return err
		}
	}
	return nil
}

// acceptBare upgrades with gorilla and uses only the socket.
func acceptBare(w http.ResponseWriter, r *http.Request) (net.Conn, error) {
	c, err := acceptGorilla(w, r)
	if err != nil {
		return nil, err
	}
	return c.NetConn(), nil
}

func sendBare(texts [][]byte, to []net.Conn) error {
	var all []byte
	for i, text := range texts {
		if i > 0 {
			all = append(all, '\n')
		}
		all = append(all, text...)
	}
	if len(all) > 0xffff {
		return errors.New("more than fits into a frame with a length of two bytes")
	}
	frame := append([]byte{0x81, 126, byte(len(all) >> 8), byte(len(all))}, all...)
	if len(all) < 126 {
		frame = append([]byte{0x81, byte(len(all))}, all...)
	}
	for _, c := range to {
		if _, err := c.Write(frame); err != nil {
			return err
		}
	}
	return nil
}
