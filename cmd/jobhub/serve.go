package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"jobhub/hub"
	"jobhub/jobs"
	"jobhub/jobs/call"
	"jobhub/jobs/egress"
	"jobhub/jobs/sqlite"
	"jobhub/jobs/webhook"
	"jobhub/web"
	"jobhub/web/auth"
	"jobhub/web/config"
	"jobhub/web/spans"
)

// serveOptions is what a hub is started with.
type serveOptions struct {
	Addr        string
	Data        string
	Store       string
	Hosts       []string // names that callers may use, besides loopback ones
	Config      string   // path of the configuration file; none if empty
	EgressAllow []netip.Prefix
	Proxies     []netip.Prefix // whose X-Forwarded-For and -Proto are believed
	Secrets     []jobs.Secret  // sign callbacks that have none
	Lease       time.Duration
	URL         string
	Pinned      pinned
	Grace       time.Duration
	Logger      *slog.Logger
}

const defaultAddr = "127.0.0.1:8080"

var urlPath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)*$`)

func runServe(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o serveOptions
	fs := flag.NewFlagSet("jobhub serve", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.Addr, "addr", defaultAddr, "`address` to listen on; loopback, unless there are keys (jobhub keys create); port 0 takes a free one")
	fs.StringVar(&o.Data, "data", "./jobhub-data", "`folder` of the store and the keys; it is created")
	fs.Var((*names)(&o.Hosts), "hosts", "`names` by which callers may reach the hub, besides loopback ones and an IP address in --addr, like hub.example.com")
	fs.Func("url", "`address` by which others reach the hub, like https://hub.example.com or https://example.com/jobhub: links and commands show it, and a proxy may take its path off or not", func(text string) error {
		u, err := url.Parse(strings.TrimSuffix(text, "/"))
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery+u.Fragment != "" || !urlPath.MatchString(u.Path) {
			return errors.New("it must be like https://hub.example.com or https://example.com/jobhub")
		}
		o.URL = u.String()
		return nil
	})
	fs.Var((*prefixes)(&o.Proxies), "trusted-proxies", "`ranges` of proxies in front of the hub whose X-Forwarded-For and X-Forwarded-Proto are believed, like 127.0.0.1/32")
	fs.StringVar(&o.Store, "store", "", "where jobs are kept, sqlite:`PATH` (default: in the data folder)")
	fs.Var((*prefixes)(&o.EgressAllow), "egress-allow", "`ranges` that http and fanout jobs and callbacks may reach although they are not public, like 127.0.0.0/8,10.0.0.0/8")
	fs.Var((*secrets)(&o.Secrets), "webhook-secret", "`secret` that signs callbacks without one of their own, whsec_…; two with a comma while one is replaced. Better set as JOBHUB_WEBHOOK_SECRET: others can see flags")
	fs.StringVar(&o.Config, "config", "", "configuration `file`, reloaded when it changes and on SIGHUP")
	fs.DurationVar(&o.Lease, "lease", jobs.DefaultLease, "how long a worker may be silent before its jobs run elsewhere")
	fs.DurationVar(&o.Grace, "grace", 10*time.Second, "how long running jobs may finish when the hub is told to stop")
	if err := parseFlags(fs, args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	if fs.NArg() > 0 {
		fmt.Fprintf(stderr, "jobhub serve: unexpected %q; it takes only flags\n", fs.Arg(0))
		return 2
	}
	fs.Visit(func(f *flag.Flag) {
		o.Pinned.egress = o.Pinned.egress || f.Name == "egress-allow"
		o.Pinned.lease = o.Pinned.lease || f.Name == "lease"
	})
	o.Pinned.allow = o.EgressAllow
	o.Logger = slog.New(slog.NewTextHandler(stderr, nil))
	reload := make(chan os.Signal, 1)
	if o.Config != "" {
		signal.Notify(reload, syscall.SIGHUP)
		defer signal.Stop(reload)
	}
	h, err := startHub(ctx, o)
	if err != nil {
		fmt.Fprintln(stderr, "jobhub serve:", err)
		return 1
	}
	fmt.Fprintf(stdout, "jobhub is ready at %s\n", h.URL())
	code := 0
	for running := true; running; {
		running = false
		select {
		case <-reload:
			h.configured.reload()
			running = true
		case <-ctx.Done():
			o.Logger.Info("stopping", "grace", o.Grace)
		case <-h.engine.Failed():
			code = 1 // only opening the store again tells what it holds
		}
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.Grace)
	defer cancel()
	if err := h.Close(grace); err != nil {
		o.Logger.Error("stopping", "error", err)
		code = 1
	}
	return code
}

// hubServer is a hub at work: store, engine, hub and HTTP server.
type hubServer struct {
	url    string
	store  *sqlite.Store
	engine *jobs.Engine
	hub    *hub.Hub
	web    *web.Server
	http   *http.Server
	served chan error
	traces *spans.Tracer // nil if they go nowhere

	configured *configured // nil without a configuration file

	unfollow  context.CancelFunc // ends following the keys; nil if they are not followed
	following sync.WaitGroup
}

// startHub starts a hub that answers when it returns. Nothing is left behind on an error.
func startHub(ctx context.Context, o serveOptions) (_ *hubServer, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	var conf *config.Config
	if o.Config != "" {
		var notes []string
		if conf, notes, err = loadConfig(o.Config, o.Pinned.allow); err != nil {
			return nil, fmt.Errorf("the configuration is not good:\n%w", err)
		}
		for _, note := range notes {
			o.Logger.Warn(note)
		}
		if conf.Lease > 0 && !o.Pinned.lease {
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
	h := &hubServer{url: urlOf(listener.Addr()), served: make(chan error, 1)}
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
	tracing := spans.Options{Version: programVersion(), Logger: o.Logger}
	if conf != nil {
		tracing.Endpoint = conf.Otel
	}
	if h.traces, err = spans.Open(ctx, tracing); err != nil {
		return nil, err
	}
	opened, outbound := new(egress.Ranges), new(egress.OutboundSetting)
	if conf != nil { // what is left of the last run begins at once
		if loops := conf.Loops(own); len(loops) > 0 {
			return nil, fmt.Errorf("the configuration is not good:\n%w", loops)
		}
		if !o.Pinned.egress {
			opened.Set(conf.EgressAllow)
		}
		outbound.Set(conf.HTTP.Outbound)
	}
	calls := call.Options{Allow: o.EgressAllow, Opened: opened, Own: own, Outbound: outbound, Wrap: h.traces.Calls,
		Route: func(path string) (http.RoundTripper, int64) { return h.web.RouteCalls(path) }}
	handlers := map[string]jobs.Handler{jobs.KindWebhook: webhook.Handler(webhook.Options{Allow: o.EgressAllow, Opened: opened, Own: own, Outbound: outbound, Secrets: o.Secrets, Wrap: h.traces.Calls})}
	if h.engine, err = jobs.Open(ctx, jobs.Options{Store: h.store, Handlers: handlers, Wrap: h.traces.Attempts, Allowed: keys.Allowed, Lease: o.Lease, Logger: o.Logger,
		SeveralTenants: func() bool { return keys.SeveralTenants(time.Now()) }}); err != nil {
		return nil, err
	}
	h.web = web.New(web.Config{Engine: h.engine, Store: h.store, Hub: h.hub, Auth: keys, Hosts: append(ownAddress(o.Addr), o.Hosts...), Origin: cmp.Or(o.URL, h.url), Proxies: o.Proxies, Own: own, Version: programVersion(), StoreName: "sqlite", Logger: o.Logger})
	if conf != nil {
		h.configured = &configured{path: o.Config, pinned: o.Pinned, engine: h.engine, web: h.web, egress: opened, outbound: outbound, own: own, log: o.Logger}
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

// follow has the hub hear of keys that other processes make and revoke.
func (h *hubServer) follow(keys *auth.Keys) {
	ctx, cancel := context.WithCancel(context.Background())
	h.unfollow = cancel
	h.following.Go(func() { keys.Follow(ctx) })
}

// storeFolder is the folder that --store and --data name.
func storeFolder(o serveOptions) (string, error) {
	path, ok := strings.CutPrefix(o.Store, "sqlite:")
	switch {
	case o.Store == "":
		return o.Data, nil
	case !ok || path == "":
		return "", fmt.Errorf("--store %q: this version knows sqlite:PATH only", o.Store)
	case filepath.IsAbs(path):
		return path, nil
	}
	return filepath.Join(o.Data, path), nil
}

// ownAddress is the IP address that the hub listens on, if it is a certain one. Unlike a
// name it always means this hub.
func ownAddress(addr string) []string {
	host, _, _ := net.SplitHostPort(addr)
	if ip, err := netip.ParseAddr(host); err == nil && !ip.IsUnspecified() {
		return []string{host}
	}
	return nil
}

// listen opens the address. Without keys that callers have to show, the hub is for this
// machine alone.
func listen(addr string, keyed bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("--addr %q: write it like 127.0.0.1:8080", addr)
	}
	ip, err := netip.ParseAddr(host)
	if !keyed && host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("--addr %s: without keys for callers the hub listens on loopback addresses only (127.0.0.1, [::1]); make one first: jobhub keys create --role admin", addr)
	}
	listener, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("%s is in use; stop what listens there or choose another --addr: %w", addr, err)
	}
	if err != nil {
		return nil, fmt.Errorf("--addr %q: %w; write it like 127.0.0.1:8080", addr, err)
	}
	return listener, nil
}

// urlOf is where a listener can be reached, at least from this machine.
func urlOf(addr net.Addr) string {
	if at, err := netip.ParseAddrPort(addr.String()); err == nil && at.Addr().IsUnspecified() {
		return fmt.Sprintf("http://127.0.0.1:%d", at.Port())
	}
	return "http://" + addr.String()
}

// URL is where the hub answers, like http://127.0.0.1:8080.
func (h *hubServer) URL() string { return h.url }

// frontTime is how long callers have to hear that the hub ends. What then still hangs
// on is cut: it may be a connection that was opened and never used.
const frontTime = time.Second

// Close stops the hub: no new jobs; connections are told to come back; running jobs
// may finish until ctx ends and go back to their queue then.
func (h *hubServer) Close(ctx context.Context) error {
	h.configured.close()
	h.web.Drain()
	var front sync.WaitGroup
	front.Go(func() {
		soon, cancel := context.WithTimeout(ctx, frontTime)
		defer cancel()
		h.web.Close(soon)
		if h.http.Shutdown(soon) != nil {
			h.web.Passed(ctx)
			h.http.Close()
		}
	})
	err := h.engine.Close(ctx)
	front.Wait()
	if served := <-h.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	h.engine = nil
	return errors.Join(err, h.closeParts(ctx))
}

func (h *hubServer) closeParts(ctx context.Context) (err error) {
	h.configured.close()
	if h.unfollow != nil {
		h.unfollow()
		h.following.Wait()
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
	// Jobs are safe by now. That spans were lost is logged and no failure of the hub.
	h.traces.Close(ctx)
	return err
}
