package web

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/jobs/egress"
	"jobhub/web/auth"
	"jobhub/web/peers"
	"jobhub/web/view"
)

// spreadReconnect is over how long clients are asked to spread their return.
const spreadReconnect = 2 * time.Second

// Config of a Server. Engine, Store and Hub are needed; the zero value of the rest is
// a default.
type Config struct {
	Engine  *jobs.Engine
	Store   jobs.Store
	Hub     *hub.Hub
	Auth    *auth.Keys  // who may do what; nil for everybody everything
	Hosts   []string    // names by which the hub may be called, besides loopback ones
	Origins []string    // foreign origins whose pages may use the hub, like https://app.example.com
	Origin  string      // the hub's own address, like http://127.0.0.1:8080; with a path, as https://example.com/jobhub, the hub is below that
	Own     *egress.Own // where the hub listens, so that no route leads back to it; may be nil
	Version string
	Kept    string // what the store is, like sqlite, for people
	Logger  *slog.Logger

	Proxies []netip.Prefix // whose X-Forwarded-For and -Proto are believed

	StallLimit time.Duration // how long a peer may neither send nor take a byte while something is due; 30 s
}

// Server answers all requests to the hub.
type Server struct {
	Config
	base    string // the path of Origin; empty for the whole host
	origin  string // Origin without it
	mux     *http.ServeMux
	docs    documents
	own     *http.ServeMux // the paths of mux, for any method
	views   map[string]liveView
	lines   lines // where jobs wait for long
	config  atomic.Pointer[ConfigState]
	drain   chan struct{} // closed when connections should go elsewhere
	stopped context.Context
	stop    context.CancelFunc

	mu       sync.Mutex // protects the fields below
	draining bool
	joined   map[*socket]struct{}
	churn    int // sockets that came or went since memory was given back

	sockets sync.WaitGroup // none is added after draining was set
	passing sync.WaitGroup // requests of routes on their way through; likewise
	Live    *live

	front    *peers.Listener // nil where another program listens
	settings atomic.Pointer[settings]
	looks    looks
	late     remembered[struct{}, map[string]late] // by tenant
	failing  remembered[string, []view.Attention]  // schedules of a tenant
	wrong    *peers.Failures                       // wrong keys and tokens
	answers  *budget                               // long answers in memory
}

// New returns a server; it also makes the hub draw the dashboard's views, and the engine
// run batches.
func New(c Config) *Server {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.StallLimit == 0 {
		c.StallLimit = stallLimit
	}
	s := &Server{Config: c, mux: http.NewServeMux(), own: http.NewServeMux(), drain: make(chan struct{}), joined: map[*socket]struct{}{},
		answers: newBudget(maxHeld), wrong: peers.NewFailures(wrongKeys, time.Second)}
	s.place()
	s.Live = newLive(s)
	s.stopped, s.stop = context.WithCancel(context.Background())
	s.Apply(Settings{})
	s.docs = s.documents()
	s.routes()
	s.views = s.liveViews()
	c.Hub.SetRenderer(s.render)
	c.Engine.Handle(kindBatch, s.batchHandler())
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	outer := r
	defer func(w http.ResponseWriter) {
		if p := recover(); p != nil { // net/http then reads what is left of the body, without a deadline of its own
			http.NewResponseController(w).SetReadDeadline(time.Now())
			panic(p)
		}
	}(w)
	w, r, done := peers.Guard(w, r, s.StallLimit, errSlowBody)
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	r = s.fromProxy(r)
	if s.base != "" {
		w, r = s.below(w, r)
	}
	s.serve(w, r)
	outer.Pattern = r.Pattern // for whoever traces requests
	done()
}

// serve answers a request from outside, or one that is an item of a batch.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if err := s.admit(r); err != nil {
		s.fail(w, r, err)
		return
	}
	if s.cors(w, r) {
		return
	}
	route, err := s.routeOf(r)
	if err == nil && route == nil {
		err = s.elsewhere(r)
	}
	switch {
	case err != nil:
		s.fail(w, r, err)
	case route != nil:
		r.Pattern = route.Path // as the mux does
		s.routed(route)(w, r)
	default:
		s.mux.ServeHTTP(w, carriedOut(r))
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

// ending is closed when the request of ctx should come to an end. What a job asks for
// may go on as long as the job.
func (s *Server) ending(ctx context.Context) <-chan struct{} {
	if callerOf(ctx) != nil {
		return nil
	}
	return s.drain
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

// churnedLocked has memory given back to the system after many connections came or
// went: what handshakes leave behind, and what those held that are gone, would stay for
// minutes otherwise.
func (s *Server) churnedLocked() {
	if s.churn++; s.churn == churnMany {
		time.AfterFunc(churnRest, s.giveBack)
	}
}

const (
	churnMany = 1000
	churnRest = 3 * time.Second
)

func (s *Server) giveBack() {
	s.mu.Lock()
	more := s.churn >= churnMany+100 // then others may be on their way
	if s.churn = 0; more && !s.draining {
		s.churn = churnMany
		time.AfterFunc(churnRest, s.giveBack)
	}
	s.mu.Unlock()
	debug.FreeOSMemory()
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
