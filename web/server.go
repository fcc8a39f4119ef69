package web

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/jobs/egress"
	"jobhub/jobs/engine"
	"jobhub/web/api"
	"jobhub/web/auth"
	"jobhub/web/batch"
	"jobhub/web/catalog"
	"jobhub/web/docs"
	"jobhub/web/gateway"
	"jobhub/web/gateway/cache"
	"jobhub/web/gateway/match"
	"jobhub/web/gateway/upgrade"
	"jobhub/web/gateway/usage"
	"jobhub/web/limit"
	"jobhub/web/live"
	"jobhub/web/pages"
	"jobhub/web/peers"
	"jobhub/web/rest"
	"jobhub/web/stages"
)

// Config of a Server. Engine, Store and Hub are needed; the zero value of the rest is
// a default.
type Config struct {
	Engine    *engine.Engine
	Store     jobs.Store
	Hub       *hub.Hub
	Auth      *auth.Keys  // who may do what; nil lets everybody do everything
	Hosts     []string    // names of the hub, besides loopback ones
	Origins   []string    // foreign origins whose pages may use the hub, like https://app.example.com
	Origin    string      // the hub's own address, like http://127.0.0.1:8080; with a path, like https://example.com/jobhub, if the hub is below one
	Own       *egress.Own // where the hub listens, so that no route leads back to it; may be nil
	Version   string
	StoreName string // like sqlite; shown on pages
	Logger    *slog.Logger

	Proxies []netip.Prefix // whose X-Forwarded-For and -Proto are trusted

	StallLimit time.Duration // how long a peer may make no progress (see package peers); 30 s if zero
}

// Server answers all requests to the hub.
type Server struct {
	*rest.Base
	config   Config
	mux      *http.ServeMux
	ownPaths *http.ServeMux // the paths of mux, for any method
	table    atomic.Pointer[gateway.Table]

	applying sync.Mutex // held while settings and routes are replaced
	applied  atomic.Pointer[applied]

	api   *api.Server
	batch *batch.Server
	live  *live.Server
	pages *pages.Server
	docs  *docs.Server

	catalog *catalog.Server

	usage         *usage.Usage    // of all callers
	stored        *cache.Cache    // answers of upstreams
	upgrades      *upgrade.Proxy  // WebSockets to upstreams
	issuerClient  *http.Client    // fetches the keys of identity providers
	routeRequests sync.WaitGroup  // requests that are being passed to an upstream; added through the gate
	listener      *peers.Listener // nil if Listen was not called
}

// New returns a server. It also registers the renderer of live views with the hub, and the
// handler of batches with the engine.
func New(c Config) *Server {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.StallLimit == 0 {
		c.StallLimit = rest.StallLimit
	}
	base := &rest.Base{Engine: c.Engine, Store: c.Store, Hub: c.Hub, Auth: c.Auth, Logger: c.Logger, Version: c.Version, StoreName: c.StoreName, StallLimit: c.StallLimit,
		Gate: rest.NewGate(), Answers: rest.NewBudget(rest.MaxBufferedAnswers), Failures: peers.NewFailures(rest.WrongKeys, time.Second), Limiter: limit.New(limit.Options{Store: limit.NewDocumentStore(c.Engine.Documents)})}
	base.Stopped, base.Stop = context.WithCancel(context.Background())
	s := &Server{Base: base, config: c, mux: http.NewServeMux(), ownPaths: http.NewServeMux()}
	s.issuerClient = &http.Client{Transport: egress.Unguarded(c.Own, egress.Outbound{})}
	s.usage = usage.Open(usage.Options{Store: c.Engine.Documents, Logger: c.Logger})
	s.stored = cache.New(cache.Options{})
	s.upgrades = upgrade.New(upgrade.Options{Stall: c.StallLimit, Hidden: rest.HoldsToken})
	s.setOrigin()
	s.Apply(Settings{}, nil) // no routes, so no error
	s.api = api.New(base)
	s.batch = batch.New(base, s.api, s)
	s.live = live.New(base, s.findView)
	s.catalog = &catalog.Server{Base: base}
	s.pages = pages.New(base, pages.Parts{API: s.api, Live: s.live, Table: s.table.Load, Catalog: s.catalog})
	s.docs = docs.New(base, s.pages)
	s.registerRoutes()
	s.batch.Start()
	return s
}

// findView is for live connections, which are made before the pages that they watch.
func (s *Server) findView(ctx context.Context, who auth.Identity, name string) (hub.ViewKey, error) {
	return s.pages.FindView(ctx, who, name)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	outer := r
	defer func(w http.ResponseWriter) {
		if p := recover(); p != nil { // net/http then reads the rest of the body without a deadline of its own
			http.NewResponseController(w).SetReadDeadline(time.Now())
			panic(p)
		}
	}(w)
	w, r, done := peers.Guard(w, r, s.StallLimit, rest.ErrSlowBody)
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	r = s.fromProxy(r)
	if s.BasePath != "" {
		w, r = s.stripBasePath(w, r)
	}
	s.Serve(w, r)
	outer.Pattern = r.Pattern // for tracing
	done()
}

// Serve answers a request of a client or of a batch. It is the pipeline of the hub; see package
// stages for the order.
func (s *Server) Serve(w http.ResponseWriter, r *http.Request) {
	s.serve(w, r, new(stages.Record))
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, rec *stages.Record) {
	outer := r
	r = r.WithContext(stages.With(r.Context(), rec))
	defer func() { outer.Pattern = r.Pattern }() // r is a copy
	w, r, account := s.account(w, r, rec)
	defer account()
	found, err := s.match(r)
	if err != nil {
		if wrong, ok := errors.AsType[*match.MethodError](err); ok {
			w.Header().Set("Allow", strings.Join(wrong.Methods, ", "))
		}
		rec.Refuse(stages.Match, err)
		s.Fail(w, r, err)
		return
	}
	route := found.Value
	if route != nil {
		rec.Route, rec.API = route.Name(), route.API
		rec.Pass(stages.Match, found.Why())
		r.Pattern = route.Path // as the mux does
	} else {
		_, rec.Route = s.mux.Handler(r)
		rec.Pass(stages.Match, "a path of the hub itself")
		rec.Page = isPage(r.URL.Path)
	}
	switch done, err := s.checkCORS(w, r, route); {
	case err != nil:
		s.Fail(w, r, err)
	case done:
	case route != nil:
		s.passThrough(w, r, found)
	default:
		r = rest.DetachFromClient(r)
		s.mux.ServeHTTP(w, r)
	}
}

// match is the stage Match: it returns the route of a request, none for a path of the hub itself.
func (s *Server) match(r *http.Request) (found match.Found[*gateway.Route], err error) {
	if err = s.CheckHost(r); err == nil {
		found, err = s.routeOf(r)
	}
	if err == nil && found.Rule == nil {
		err = s.wrongHost(r)
	}
	return found, err
}

// WaitForRoutes waits until no request is being passed to an upstream, or ctx ends.
func (s *Server) WaitForRoutes(ctx context.Context) {
	done := make(chan struct{})
	go func() {
		s.routeRequests.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// Drain tells each WebSocket connection to reconnect later, spread over time, and ends it. It
// ends streams and long polls, too. New ones are refused.
func (s *Server) Drain() {
	if s.Gate.Close() {
		s.live.Drain()
	}
}

// CloseCounters stores what was counted, and gives back what was reserved of quotas. From then
// on, requests under a quota are refused, and requests are not counted. It comes after Close and
// before the engine is closed.
func (s *Server) CloseCounters(ctx context.Context) {
	if err := s.usage.Close(ctx); err != nil {
		s.Logger.Warn("the usage of the last seconds could not be stored", "error", err)
	}
	if err := s.Limiter.Close(ctx); err != nil {
		s.Logger.Warn("what was reserved of quotas could not be given back; it counts as used", "error", err)
	}
}

// Close waits until the connections that Drain ends are closed; when ctx ends it closes those
// that are left.
func (s *Server) Close(ctx context.Context) {
	s.upgrades.Drain(ctx)
	s.stored.Close()
	s.live.Close(ctx)
	s.Stop()
	s.UseIssuers(nil, nil) // none, so no error
	s.issuerClient.CloseIdleConnections()
}
