package live

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"

	"jobhub/hub"
	"jobhub/web/auth"
	"jobhub/web/peers"
	"jobhub/web/rest"
)

// Server serves the live connections.
type Server struct {
	*rest.Base
	Listener *peers.Listener // in front of all connections; nil where another program listens

	findView func(ctx context.Context, who auth.Identity, name string) (hub.ViewKey, error)
	counters counters
	metrics  http.Handler
	sockets  sync.WaitGroup // entered through the gate

	mu       sync.Mutex // protects the fields below
	draining bool
	joined   map[*socket]struct{}
	churn    int // sockets that came or went since memory was returned to the system
}

// New returns the live connections of a server. find returns the view of the dashboard that a
// client names, and an error if there is none or the caller may not watch it.
func New(b *rest.Base, find func(ctx context.Context, who auth.Identity, name string) (hub.ViewKey, error)) *Server {
	s := &Server{Base: b, findView: find, joined: map[*socket]struct{}{}}
	s.metrics = newMetrics(s)
	return s
}

// Drain tells every WebSocket connection to come back later, not all at the same moment, and
// ends it. The gate is closed, so that no new ones come.
func (s *Server) Drain() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	for c := range s.joined {
		s.sockets.Go(func() { c.goAway(rand.N(spreadReconnect)) })
	}
}

// Close waits for the connections that Drain told, until ctx ends, and cuts the rest.
func (s *Server) Close(ctx context.Context) {
	stop := context.AfterFunc(ctx, s.cut)
	defer stop()
	s.sockets.Wait()
}
