package client

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// pipes is a listener in memory, so that a real server and a real client can run
// inside a synctest bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 8080} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case p.conns <- there:
		return here, nil
	case <-p.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// serve returns a client of a hub that answers with h.
func serve(t *testing.T, h http.Handler) *Client {
	p := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	transport := &http.Transport{DialContext: p.dial}
	srv := &httptest.Server{Listener: p, Config: &http.Server{Handler: h}}
	srv.Start()
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		srv.Close()
	})
	return &Client{Base: "http://hub.test", HTTP: &http.Client{Transport: transport}}
}

// script is one connection of a scripted hub: what it says when it is subscribed
// to, and the close code that it ends with; 0 cuts the connection, silent keeps it
// open until the client gives up.
type script struct {
	status int // instead of the connection, unless it is 0
	frames []string
	hears  bool // before the end it waits for one more message
	close  websocket.StatusCode
}

const silent = websocket.StatusCode(-1)

// scripted is a hub that plays one script after the other.
type scripted struct {
	t        *testing.T
	scripts  []script
	mu       sync.Mutex // protects the fields below
	requests []string   // the subscribe message of each connection
	tokens   []string   // the Authorization of each
	heard    []string   // all other messages
}

func (s *scripted) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if len(s.requests) == len(s.scripts) {
		s.mu.Unlock()
		http.Error(w, "the script is over", http.StatusForbidden)
		return
	}
	play := s.scripts[len(s.requests)]
	s.requests = append(s.requests, "")
	s.tokens = append(s.tokens, r.Header.Get("Authorization"))
	request := &s.requests[len(s.requests)-1]
	s.mu.Unlock()

	if play.status != 0 {
		w.WriteHeader(play.status)
		return
	}
	if r.URL.Path != "/v1/ws" || !strings.Contains(r.Header.Get("Sec-WebSocket-Protocol"), "jobhub.v1") {
		s.t.Errorf("connected to %s with %v", r.URL, r.Header)
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"jobhub.v1"}})
	if err != nil {
		s.t.Error(err)
		return
	}
	defer conn.CloseNow()
	ctx := context.Background()
	if err := conn.Write(ctx, websocket.MessageText, []byte(`{"type":"welcome","v":1,"conn":"c","epoch":"e","seq":9,"ping":25}`)); err != nil {
		s.t.Error(err)
		return
	}
	_, text, err := conn.Read(ctx)
	if err != nil {
		s.t.Error(err)
		return
	}
	s.mu.Lock()
	*request = string(text)
	s.mu.Unlock()
	for _, f := range play.frames {
		if err := conn.Write(ctx, websocket.MessageText, []byte(f)); err != nil {
			return // the client may leave after any message
		}
	}
	if play.hears {
		_, text, err := conn.Read(ctx)
		if err != nil {
			s.t.Error(err)
		}
		s.mu.Lock()
		s.heard = append(s.heard, string(text))
		s.mu.Unlock()
	}
	switch play.close {
	case 0:
	case silent:
		conn.Read(ctx)
	default:
		conn.Close(play.close, "over")
	}
}
