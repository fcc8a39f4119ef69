package web

import (
	"context"
	"log/slog"
	"net/http"
	"sync"

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
	drain   chan struct{} // closed when connections should go elsewhere
	stopped context.Context
	stop    context.CancelFunc

	mu       sync.Mutex // protects draining, and that no socket is added after it was set
	draining bool
	sockets  sync.WaitGroup
}

// New returns a server; it also makes the hub draw the dashboard's views, and the engine
// run batches.
func New(c Config) *Server {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Server{Config: c, mux: http.NewServeMux(), drain: make(chan struct{})}
	s.stopped, s.stop = context.WithCancel(context.Background())
	s.routes()
	c.Hub.Draw(s.render)
	c.Engine.Handle(kindBatch, s.batchHandler())
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	s.serve(w, r)
}

// serve answers a request from outside, or one that is an item of a batch.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if err := s.admit(r); err != nil {
		s.fail(w, r, err)
		return
	}
	s.mux.ServeHTTP(w, r)
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

// ending is closed when the request of ctx should come to an end. What a job asks for
// may go on as long as the job.
func (s *Server) ending(ctx context.Context) <-chan struct{} {
	if callerOf(ctx) != nil {
		return nil
	}
	return s.drain
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

// Close waits for the connections that Drain told, until ctx ends, and cuts the rest.
func (s *Server) Close(ctx context.Context) {
	stop := context.AfterFunc(ctx, s.stop)
	defer stop()
	s.sockets.Wait()
	s.stop()
}
