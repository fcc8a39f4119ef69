package web

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/web/auth"
)

// spreadReconnect is over how long clients are asked to spread their return.
const spreadReconnect = 2 * time.Second

// Config of a Server. Engine, Store and Hub are needed; the zero value of the rest is
// a default.
type Config struct {
	Engine  *jobs.Engine
	Store   jobs.Store
	Hub     *hub.Hub
	Auth    *auth.Keys // who may do what; nil for everybody everything
	Hosts   []string   // names by which the hub may be called, besides loopback ones
	Origins []string   // foreign origins whose pages may use the hub, like https://app.example.com
	Origin  string     // the hub's own address for commands to copy, like http://127.0.0.1:8080
	Version string
	Logger  *slog.Logger

	// Faults says what is wrong with the configuration, for the overview; nil for nothing.
	Faults func() []string

	// LibraryWrites sends WebSocket data through the library instead of past it. For
	// connections that are not plain TCP that is so anyway.
	LibraryWrites bool
	StallLimit    time.Duration // a live client may take nothing for so long; 30 s
}

// Server answers all requests to the hub.
type Server struct {
	Config
	mux     *http.ServeMux
	docs    documents
	drain   chan struct{} // closed when connections should go elsewhere
	stopped context.Context
	stop    context.CancelFunc

	mu       sync.Mutex // protects the fields below
	draining bool
	joined   map[*socket]struct{}
	churn    int // sockets that came or went since memory was given back

	sockets sync.WaitGroup // none is added after draining was set
	Live    *live
}

// New returns a server; it also makes the hub draw the dashboard's views.
func New(c Config) *Server {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.StallLimit == 0 {
		c.StallLimit = 30 * time.Second
	}
	s := &Server{Config: c, mux: http.NewServeMux(), drain: make(chan struct{}), joined: map[*socket]struct{}{}}
	s.Live = newLive(s)
	s.stopped, s.stop = context.WithCancel(context.Background())
	s.docs = s.documents()
	s.routes()
	c.Hub.Draw(s.render)
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	if err := s.admit(r); err != nil {
		s.fail(w, r, err)
		return
	}
	s.mux.ServeHTTP(w, r)
}

// Drain tells every WebSocket connection to come back later, not all at the same
// moment, and ends it; so it does with streams and long polls. New ones are refused.
func (s *Server) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return
	}
	s.draining = true
	close(s.drain)
	for c := range s.joined {
		s.sockets.Go(func() { c.goAway(rand.N(spreadReconnect)) })
	}
}

// enter counts a connection in; false when the server drains.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.sockets.Add(1)
	return true
}

// join adds an open WebSocket; false when the server drains.
func (s *Server) join(c *socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.joined[c] = struct{}{}
	s.churnedLocked()
	if s.stopped.Err() != nil {
		c.wire.Close()
	}
	return !s.draining
}

func (s *Server) part(c *socket) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.joined, c)
	s.churnedLocked()
}

// churnedLocked gives memory back to the system after many connections came or went:
// what handshakes leave behind, and what those held that are gone, would stay for
// minutes otherwise.
func (s *Server) churnedLocked() {
	const many = 1000
	if s.churn++; s.churn != many {
		return
	}
	time.AfterFunc(3*time.Second, func() {
		debug.FreeOSMemory()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.churn = 0
	})
}

// Close waits for the connections that Drain told, until ctx ends, and cuts the rest.
func (s *Server) Close(ctx context.Context) {
	stop := context.AfterFunc(ctx, s.cut)
	defer stop()
	s.sockets.Wait()
	s.stop()
}

// cut ends what is still open.
func (s *Server) cut() {
	s.stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.joined {
		c.wire.Close()
	}
}
