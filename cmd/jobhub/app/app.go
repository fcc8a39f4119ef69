package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/jobs/call"
	"jobhub/jobs/egress"
	"jobhub/jobs/engine"
	"jobhub/jobs/sqlite"
	"jobhub/jobs/webhook"
	"jobhub/web"
	"jobhub/web/auth"
	"jobhub/web/config"
	"jobhub/web/spans"
)

// DefaultAddr is the address that a hub listens on by default.
const DefaultAddr = "127.0.0.1:8080"

// Options of a hub.
type Options struct {
	Addr    string   // to listen on, host:port; with port 0 a free one is taken
	Data    string   // folder of the store and the keys; it is created
	Store   string   // sqlite:PATH; in Data if empty
	Hosts   []string // host names of the hub, besides loopback ones
	URL     string   // the address that others use; that of the listener if empty
	Config  string   // path of the configuration file; none if empty
	Version string

	// These override the configuration file if they are pinned, that is, given as flags.
	EgressAllow  []netip.Prefix
	EgressPinned bool
	Lease        time.Duration // how long a worker may be silent; 0 for the engine's default
	LeasePinned  bool

	Proxies []netip.Prefix // whose X-Forwarded-For and -Proto are trusted
	Secrets []jobs.Secret  // sign callbacks that have none
	Grace   time.Duration  // how long running jobs may finish when Run ends
	Logger  *slog.Logger   // nil discards
}

// egressFlag is what a configuration file is checked against: --egress-allow, or nil if
// the file's own ranges count.
func (o *Options) egressFlag() []netip.Prefix {
	if o.EgressPinned {
		return o.EgressAllow
	}
	return nil
}

// Hub is a running hub: store, engine, follower of the log and HTTP server.
type Hub struct {
	grace  time.Duration
	log    *slog.Logger
	url    string
	store  *sqlite.Store
	engine *engine.Engine
	hub    *hub.Hub
	web    *web.Server
	http   *http.Server
	served chan error
	traces *spans.Tracer // nil if tracing is off

	configured *configured // nil without a configuration file

	unfollow  context.CancelFunc // ends following the keys; nil if they are not followed
	following sync.WaitGroup
}

// Start starts a hub. When it returns, the hub answers; on an error nothing keeps running.
func Start(ctx context.Context, o Options) (_ *Hub, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	var conf *config.Config
	if o.Config != "" {
		var notes []string
		if conf, notes, err = LoadConfig(o.Config, o.egressFlag()); err != nil {
			return nil, fmt.Errorf("the configuration has errors:\n%w", err)
		}
		for _, note := range notes {
			o.Logger.Warn(note)
		}
		if conf.Lease > 0 && !o.LeasePinned {
			o.Lease = conf.Lease
		}
	}
	folder, err := storeFolder(o)
	if err != nil {
		return nil, err
	}
	keys, err := auth.Open(o.Data)
	if err != nil {
		return nil, err
	}
	keyed := keys.Configured(time.Now())
	listener, err := listen(o.Addr, keyed)
	if err != nil {
		return nil, err
	}
	own := new(egress.Own)
	own.Set(listener.Addr())
	h := &Hub{grace: o.Grace, log: o.Logger, url: urlOf(listener.Addr()), served: make(chan error, 1)}
	defer func() {
		if err != nil {
			listener.Close()
			h.closeParts(ctx)
		}
	}()
	if h.store, err = sqlite.Open(ctx, folder, sqlite.Options{Logger: o.Logger}); err != nil {
		return nil, err
	}
	if h.hub, err = hub.New(ctx, hub.Options{Log: h.store, Logger: o.Logger}); err != nil {
		return nil, err
	}
	tracing := spans.Options{Version: o.Version, Logger: o.Logger}
	if conf != nil {
		tracing.Endpoint = conf.Otel
	}
	if h.traces, err = spans.Open(ctx, tracing); err != nil {
		return nil, err
	}
	opened, outbound := new(egress.Ranges), new(egress.OutboundSetting)
	if conf != nil { // before the engine opens: jobs of the last run start at once
		if loops := conf.Loops(own); len(loops) > 0 {
			return nil, fmt.Errorf("the configuration has errors:\n%w", loops)
		}
		if !o.EgressPinned {
			opened.Set(conf.EgressAllow)
		}
		outbound.Set(conf.HTTP.Outbound)
	}
	calls := call.Options{Allow: o.EgressAllow, Opened: opened, Own: own, Outbound: outbound, Wrap: h.traces.Calls,
		Route: func(via jobs.Via) (http.RoundTripper, int64) { return h.web.RouteTransport(via) }}
	handlers := map[string]jobs.Handler{jobs.KindWebhook: webhook.Handler(webhook.Options{Allow: o.EgressAllow, Opened: opened, Own: own, Outbound: outbound, Secrets: o.Secrets, Wrap: h.traces.Calls})}
	if h.engine, err = engine.Open(ctx, engine.Options{Store: h.store, Handlers: handlers, Wrap: h.traces.Attempts, Allowed: keys.CheckCaller, Notify: h.hub.Notify, Lease: o.Lease, Logger: o.Logger,
		SeveralTenants: func() bool { return keys.SeveralTenants(time.Now()) }}); err != nil {
		return nil, err
	}
	h.web = web.New(web.Config{Engine: h.engine, Store: h.store, Hub: h.hub, Auth: keys, Hosts: append(ownAddress(o.Addr), o.Hosts...), Origin: cmp.Or(o.URL, h.url), Proxies: o.Proxies, Own: own, Version: o.Version, StoreName: "sqlite", Logger: o.Logger})
	if err := h.web.OpenCatalog(ctx, h.engine.Documents, egress.New(egress.Options{Allow: o.EgressAllow, Opened: opened, Own: own})); err != nil {
		return nil, err
	}
	if conf != nil {
		h.configured = &configured{path: o.Config, options: o, engine: h.engine, web: h.web, egress: opened, outbound: outbound, own: own, log: o.Logger}
		if err := h.configured.start(ctx, conf); err != nil {
			return nil, err
		}
	}
	h.engine.Handle("http", call.HTTP(calls)) // these need the routes
	h.engine.Handle("fanout", call.Fanout(calls))
	h.http = &http.Server{Handler: h.traces.Requests(h.web), ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelWarn)}
	front := h.web.Listen(h.http, listener)
	h.follow(keys)
	go func() { h.served <- h.http.Serve(front) }()
	return h, nil
}

// follow makes the hub notice keys that other processes make and revoke.
func (h *Hub) follow(keys *auth.Keys) {
	ctx, cancel := context.WithCancel(context.Background())
	h.unfollow = cancel
	h.following.Go(func() { keys.Follow(ctx) })
}

// storeFolder returns the folder of the store, from --store and --data.
func storeFolder(o Options) (string, error) {
	path, ok := strings.CutPrefix(o.Store, "sqlite:")
	switch {
	case o.Store == "":
		return o.Data, nil
	case !ok || path == "":
		return "", fmt.Errorf("--store %q: it must be sqlite:PATH", o.Store)
	case filepath.IsAbs(path):
		return path, nil
	}
	return filepath.Join(o.Data, path), nil
}

// URL returns the address that the hub answers at, like http://127.0.0.1:8080.
func (h *Hub) URL() string { return h.url }

// ErrStore is the error of Run after the store has failed: what was stored is only known after it
// is opened again.
var ErrStore = errors.New("the store has failed; start the hub again")

// Run runs the hub until ctx ends or its store fails, and closes it then. Each value of reload
// makes it read the configuration file again. Its error is logged, too.
func (h *Hub) Run(ctx context.Context, reload <-chan os.Signal) (err error) {
	for running := true; running; {
		select {
		case <-reload:
			h.configured.reload()
			continue
		case <-ctx.Done():
			h.log.Info("stopping", "grace", h.grace)
		case <-h.engine.Failed():
			err = ErrStore
		}
		running = false
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.grace)
	defer cancel()
	if closing := h.Close(grace); closing != nil {
		h.log.Error("stopping", "error", closing)
		err = errors.Join(err, closing)
	}
	return err
}

// closeTimeout is how long clients have to close their connections when the hub stops. Then the
// hub closes those that are left, which may never have been used.
const closeTimeout = time.Second

// countersTimeout is how long a hub that stops takes at the most to store what it has counted.
const countersTimeout = 5 * time.Second

// Close stops the hub: it accepts no jobs, and tells its connections to reconnect later. Running
// jobs may finish until ctx ends; then they go back to their queues.
func (h *Hub) Close(ctx context.Context) error {
	h.configured.close()
	h.web.Drain()
	var front sync.WaitGroup
	front.Go(func() {
		soon, cancel := context.WithTimeout(ctx, closeTimeout)
		defer cancel()
		h.web.Close(soon)
		if h.http.Shutdown(soon) != nil {
			h.web.WaitForRoutes(ctx)
			h.http.Close()
		}
	})
	h.engine.StopRuns(ctx)
	front.Wait() // the engine still stores what the last requests change and count
	var err error
	if served := <-h.served; !errors.Is(served, http.ErrServerClosed) {
		err = served
	}
	return errors.Join(err, h.closeParts(ctx))
}

func (h *Hub) closeParts(ctx context.Context) (err error) {
	h.configured.close()
	if h.unfollow != nil {
		h.unfollow()
		h.following.Wait()
	}
	if h.web != nil {
		storing, cancel := context.WithTimeout(context.WithoutCancel(ctx), countersTimeout) // ctx may have ended
		h.web.CloseCounters(storing)
		cancel()
	}
	if h.engine != nil {
		err = h.engine.Close(ctx)
	}
	if h.hub != nil {
		h.hub.Close()
	}
	if h.store != nil {
		err = errors.Join(err, h.store.Close())
	}
	// All jobs are stored by now. Lost spans are logged, and are not an error of the hub.
	h.traces.Close(ctx)
	return err
}
