package web

import (
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"

	"jobhub/hub"
	"jobhub/jobs"
)

// Config of a Server. Engine, Store and Hub are needed; the zero value of the rest is
// a default.
type Config struct {
	Engine  *jobs.Engine
	Store   jobs.Store
	Hub     *hub.Hub
	Hosts   []string // names by which the hub may be called, besides loopback ones
	Origins []string // foreign origins whose pages may use the hub, like https://app.example.com
	Origin  string   // the hub's own address for commands to copy, like http://127.0.0.1:8080
	Version string
	Logger  *slog.Logger
}

// Server answers all requests to the hub.
type Server struct {
	Config
	mux     *http.ServeMux
	own     *http.ServeMux // the paths of mux, for any method
	live    atomic.Pointer[live]
	config  atomic.Pointer[ConfigState]
	drain   chan struct{} // closed when connections should go elsewhere
	stopped context.Context
	stop    context.CancelFunc

	mu       sync.Mutex // protects draining, and that nothing is counted in after it was set
	draining bool
	sockets  sync.WaitGroup
	passing  sync.WaitGroup // requests of routes on their way through
}

// New returns a server; it also makes the hub draw the dashboard's views.
func New(c Config) *Server {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{Config: c, mux: http.NewServeMux(), own: http.NewServeMux(), drain: make(chan struct{})}
	s.stopped, s.stop = context.WithCancel(context.Background())
	s.Apply(Live{Hosts: c.Hosts, Origins: c.Origins})
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
	if s.cors(w, r) {
		return
	}
	route, err := s.routeOf(r)
	switch {
	case err != nil:
		s.fail(w, r, err)
	case route != nil:
		s.routed(w, r, route)
	default:
		s.mux.ServeHTTP(w, r)
	}
}

// Passed waits until no request of a route is on its way through, or ctx ends.
func (s *Server) Passed(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		s.passing.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// Drain tells every WebSocket connection to come back later and ends it, and ends
// long polls. New connections are refused.
func (s *Server) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.draining {
		s.draining = true
		close(s.drain)
	}
}

// enter counts a connection in; false when the server drains.
func (s *Server) enter() bool { return s.count(&s.sockets) }

func (s *Server) count(in *sync.WaitGroup) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	in.Add(1)
	return true
}

// Close waits for the connections that Drain told, until ctx ends, and cuts the rest.
func (s *Server) Close(ctx context.Context) {
	stop := context.AfterFunc(ctx, s.stop)
	defer stop()
	s.sockets.Wait()
	s.stop()
}
